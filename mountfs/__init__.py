"""mountfs: a directory whose files are artifacts. Plain files in; compressed, hashed, tagged, indexed artifacts out.

The house, from the kernel's request down to the disk; imports go down only, and import-linter holds that:

    cli                       the command line: words in, tables and exit codes out
    api, aio                  the public Python API: `open_store`, with and without a mount
    daemon                    the process of a mount: start, background work, control socket, end
    fuse                      the kernel's words and ours; the only room that knows pyfuse3 (trio: here and in daemon)
    views                     directories and virtual files that answer questions: which there are, and what they hold
    transfers                 what goes up, comes down, stays and is shown of the bucket, beside a mount
    bucket                    its protocol, as steps that ask for one request at a time: publish, read, maintain
    store                     use cases: names, open files, attributes, settling, recovery. Plain synchronous Python
    settling                  from plain to stored bytes, in worker threads, as values
    drafts                    a file that is being written, and how its published state survives
    catalog · journal · contents · statedir   what is true · what is on its way there · the bytes · where all that lies
    remote                    S3 and directories; the only room that knows boto3
    bundle · records · objects                what lies in the bucket: ZIPs with manifests, changes and their fold
    compare                   rules: what changed between two jobs, gates, baselines, trends and their pictures
    retention · events                        rules: what expires and why, which versions count; who is told of what
    query                     one language for questions about artifacts
    reports                   what the tools' reports say, read in a child: formats, one model, numbers by name
    codec · namespace · config · clock        rules: seekable zstd, names and types, settings, stamps
    descent                   down through directories where strangers may write, however deep
    model, errors             the words, and what can go wrong

The law: a pointer is written after the thing it points at, and removed before it. A crash leaves garbage, never a
dangling name. One exception: on a disk that is too full to write a row, some files that the bucket has go before their
rows (`store/eviction.py`), and whoever reads one gets it from there.

To read it: `model`, `errors`, then a write from the top: `fuse/content.py` (create, write, flush), `store/live.py` and
`store/files.py` (drafts), `store/publishing.py`, `store/ledger.py` (journal and catalog), `store/settler.py` and
`settling/` (what happens behind), `store/recovery.py` (what a start does). Then `catalog/schema/` for the meaning
of each column. The way to the bucket: `store/owing.py` (what is to be told), `store/outbox.py` (as records),
`bucket/publishing.py` and `placing.py` (one bundle); back from it `bucket/reading.py`, `store/paths.py` (into the rows)
and `bucket/fetching.py` (the bytes).
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mountfs.api import ArtifactStore, open_store
    from mountfs.errors import MountfsError
    from mountfs.model import Artifact
    from mountfs.namespace import ArtifactType, build_key, normalize_key

__all__ = [
    "Artifact",
    "ArtifactStore",
    "ArtifactType",
    "MountfsError",
    "__version__",
    "build_key",
    "normalize_key",
    "open_store",
]

_HOMES = {
    "ArtifactStore": "mountfs.api",
    "open_store": "mountfs.api",
    "MountfsError": "mountfs.errors",
    "Artifact": "mountfs.model",
    "ArtifactType": "mountfs.namespace",
    "build_key": "mountfs.namespace",
    "normalize_key": "mountfs.namespace",
}


def __getattr__(name: str) -> object:
    """Import what is public when it is first asked for: `mountfs --help` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mountfs' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
