"""The bucket as an interface (`protocol`), what can stand behind it, and what can stand around it.

    protocol                          the contract: `Remote`, and the words of its answers
    retrying · limited · counting     decorators, on `around`
    bucket · multipart · pages        S3's requests and answers;  `checksums`, `answers`, `refusals`: what they mean
    s3                                boto3, the only module that knows it
    directory · folder                a directory instead

Plain synchronous Python, safe from any thread; importing the package imports no boto3.
"""

from typing import TypeVar

from mountfs.config.schema import S3, Directory, Storage
from mountfs.errors import ConfigError
from mountfs.remote.directory import DirectoryRemote
from mountfs.remote.protocol import (
    Answered,
    Capabilities,
    Fetched,
    Found,
    Listed,
    Page,
    Part,
    Remote,
    Source,
    Unfinished,
    Upload,
)

__all__ = [
    "Answered",
    "Capabilities",
    "Fetched",
    "Found",
    "Listed",
    "Page",
    "Part",
    "Remote",
    "Source",
    "Unfinished",
    "Upload",
    "create_remote",
    "open_remote",
]


Described = TypeVar("Described", S3, Directory)


def open_remote(storage: Storage) -> Remote | None:
    """The remote that the settings choose, bare (no repeats, no limits); None for a local store.

    Nothing is asked of it yet, so nothing is wrong with it yet. Imports boto3 where the backend is S3: half a second.
    """
    if storage.backend == "local":
        return None
    if storage.backend == "directory":
        return DirectoryRemote(_described(storage.directory).path)
    from mountfs.remote.bucket import S3Remote

    return S3Remote(_described(storage.s3))


def create_remote(storage: Storage) -> None:
    """Make the bucket, or the directory a bucket; one that is there already is no error."""
    if storage.backend == "directory":
        DirectoryRemote(_described(storage.directory).path).create()
    elif storage.backend == "s3":
        from mountfs.remote.bucket import S3Remote

        remote = S3Remote(_described(storage.s3))
        try:
            remote.create()
        finally:
            remote.close()


def _described(section: Described | None) -> Described:
    """The schema has seen to it that the chosen backend is described."""
    if section is None:
        raise ConfigError("storage: the chosen backend is not described")
    return section
