"""A tree of files with all that faithful copies must keep, and what to compare of it."""

import os
from pathlib import Path

MIB = 1 << 20


def make_tree(folder: Path) -> Path:
    """A tree with all that copying programs care about: modes, times, links, tags, odd names, a hole."""
    (folder / "coverage" / "html").mkdir(parents=True)
    (folder / "empty folder").mkdir(mode=0o750)
    (folder / "empty").touch()
    (folder / "build.log").write_bytes(b"compiling\n" * 30_000)
    (folder / "coverage" / "html" / "index.html").write_text("<html>" + "body" * 100)
    (folder / "blob").write_bytes(os.urandom(300_000))
    (folder / "blob").chmod(0o640)
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o755)
    with (folder / "sparse").open("wb") as sparse:
        sparse.write(b"start")
        sparse.seek(2 * MIB)
        sparse.write(b"end")
    with open(os.fsencode(folder) + b"/caf\xe9 \n name", "wb") as odd:
        odd.write(b"odd")
    os.symlink("coverage/html/index.html", folder / "link")
    os.symlink("nowhere", folder / "dangling")
    os.setxattr(folder / "blob", "user.branch", b"main")
    os.setxattr(folder / "blob", "user.xdg.origin.url", b"https://example.org/\xff")
    os.setxattr(folder / "coverage", "user.pr", b"1234")
    for number, path in enumerate(sorted(folder.rglob("*"))):
        moment = 1_600_000_000_123_456_789 + number * 1_000_000_007
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    return folder


def described(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """What a faithful copy keeps of each entry below `folder`."""
    root = os.fsencode(folder)
    entries: dict[bytes, tuple[object, ...]] = {}
    for parent, folders, files in os.walk(root):
        for path in (os.path.join(parent, name) for name in folders + files):
            seen = os.lstat(path)
            link = os.readlink(path) if os.path.islink(path) else None
            content = Path(os.fsdecode(path)).read_bytes() if link is None and os.path.isfile(path) else None
            names = [] if link is not None else sorted(os.listxattr(path))
            tags = {name: os.getxattr(path, name) for name in names}
            entries[os.path.relpath(path, root)] = (
                (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns),
                (link, content, tags),
            )
    return entries
