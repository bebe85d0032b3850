"""What views and virtual files have in common: nothing of them can be changed, and they have no attributes."""

from collections.abc import Sequence

from pyfuse3 import EntryAttributes, FileHandleT, InodeT, RequestContext, SetattrFields, XAttrNameT

from mountfs.errors import ReadOnlyView, TagNotFound


class ReadOnly:
    """Handlers of requests on what is an answer, not a place; each of the kernel's name for it."""

    async def _getxattr(self, inode: InodeT, name: XAttrNameT) -> bytes:
        raise TagNotFound("a view has no attributes: ask what it links to")

    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        return []

    async def setattr(
        self, inode: InodeT, attr: EntryAttributes, fields: SetattrFields, fh: FileHandleT | None, ctx: RequestContext
    ) -> EntryAttributes:
        raise refused()

    async def refuse(self, *args: object) -> None:
        """Whatever would change something."""
        raise refused()

    mknod = mkdir = symlink = link = unlink = rmdir = rename = create = write = setxattr = removexattr = refuse


def refused() -> ReadOnlyView:
    return ReadOnlyView("views are read-only: change the artifacts that they tell of")
