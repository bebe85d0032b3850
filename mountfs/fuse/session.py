"""Mounting and unmounting through pyfuse3, whose session is one global a process."""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pyfuse3
import trio

from mountfs.errors import EnvironmentProblem
from mountfs.fuse.operations import Operations
from mountfs.store.paths import Changes

MAX_TASKS = 99
READ_AHEAD_KIB = 1024


@contextlib.contextmanager
def mounted(
    operations: Operations, mountpoint: Path, *, source: Path, allow_other: bool, auto_unmount: bool,
    read_only: bool = False,
) -> Iterator[None]:  # fmt: skip
    """The file system is mounted for the length of the block; `serve` answers.

    `source` is what the mount table names as the device: the state directory, by which commands find it.
    """
    options = {f"fsname={_escaped(source)}", "subtype=mountfs", "default_permissions"}
    if allow_other:
        options.add("allow_other")
    if auto_unmount:
        options.add("auto_unmount")
    if read_only:
        options.add("ro")
    try:
        pyfuse3.init(operations, str(mountpoint), options)
    except RuntimeError as error:
        raise EnvironmentProblem(
            f"{mountpoint} could not be mounted ({error}): `mountfs doctor` tells what is missing"
        ) from error
    try:
        yield
    finally:
        pyfuse3.close(unmount=True)


def _escaped(source: Path) -> str:
    """libfuse splits its options at commas, and takes a backslash for an escape."""
    return str(source).replace("\\", "\\\\").replace(",", "\\,")


async def serve() -> None:
    """Answer requests until the file system is unmounted or `stop` is called."""
    await pyfuse3.main(max_tasks=MAX_TASKS)


def stop() -> None:
    pyfuse3.terminate()


def raise_read_ahead(device: int) -> None:
    """Let the kernel ask for 1 MiB at a time; only root may, and only then it is done (FACTS: 2.9 against 1.5 GB/s)."""
    path = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
    with contextlib.suppress(OSError):
        path.write_text(str(READ_AHEAD_KIB))


class Invalidations:
    """Tells the kernel what changed elsewhere, in one thread of its own: told on the loop while a read is under way,
    an inode's word never returns, and the mount hangs (FACTS)."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Changes](math.inf)

    def tell(self, changes: Changes) -> None:
        if changes.names or changes.inos or changes.grown:
            self._send.send_nowait(changes)

    async def run(self) -> None:
        async for changes in self._receive:
            await trio.to_thread.run_sync(_invalidate, changes)


def _invalidate(changes: Changes) -> None:
    parents = {parent for parent, _name in changes.names}
    for ino in changes.inos | parents:
        with contextlib.suppress(OSError):  # the kernel did not know it
            pyfuse3.invalidate_inode(pyfuse3.InodeT(ino), attr_only=True)
    for ino in changes.grown:
        with contextlib.suppress(OSError):
            pyfuse3.invalidate_inode(pyfuse3.InodeT(ino), attr_only=False)
    for parent, name in changes.names:
        forget_name(parent, name)


def forget_name(parent: int, name: bytes) -> None:
    """Tell the kernel that a name was removed behind its back."""
    pyfuse3.invalidate_entry_async(pyfuse3.InodeT(parent), pyfuse3.FileNameT(name), ignore_enoent=True)
