"""What can go wrong, once for the kernel, the shell and the Python caller.

Every error says what the kernel hears (`errno`), what the shell hears (`exit_code`) and whether the same
request may succeed later without anyone changing it (`waiting_helps`). Exceptions of libraries are
translated where their library lives and nowhere else; what arrives untranslated is a bug.
"""

import errno as _errno


class MountfsError(Exception):
    """Base of everything mountfs raises on purpose; its text is one sentence for the user."""

    errno: int = _errno.EIO
    exit_code: int = 70
    waiting_helps: bool = False


class InvalidName(MountfsError):
    """A key, name or tag that can never exist: empty, `..`, with NUL, or outside the mount."""

    errno, exit_code = _errno.EINVAL, 2


class ConfigError(MountfsError):
    """The settings are not usable. `problems` holds one sentence for each, with file, key and what is allowed."""

    errno, exit_code = _errno.EINVAL, 2

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class QueryError(MountfsError):
    """A query that does not parse: the sentence, and below it the text with a caret where it went wrong.

    `position` is the offset of that character in the text, from 0; `sentence` is the first line alone.
    """

    errno, exit_code = _errno.EINVAL, 2

    def __init__(self, sentence: str, *, text: str, position: int) -> None:
        self.sentence, self.position = sentence, position
        start = max(0, position - 50)  # a terminal's line is enough to see the place
        shown = "".join(sign if sign.isprintable() else "?" for sign in text[start : start + 76])
        super().__init__(f"{sentence} (at {position})\n  {shown}\n  {' ' * (position - start)}^")


class NameTooLong(MountfsError):
    """A name of more than 255 bytes, or a path below its job of more than 4096."""

    errno, exit_code = _errno.ENAMETOOLONG, 2


class NotFound(MountfsError):
    """Nothing has that name. Content that was lost is `ContentLost`, never this: its name exists."""

    errno, exit_code = _errno.ENOENT, 3


class Stale(NotFound):
    """The kernel asks by a number that is no more: another file has the name. It looks the name up again."""

    errno = _errno.ESTALE


class TagNotFound(MountfsError):
    """The artifact exists, the tag or fact asked for does not."""

    errno, exit_code = _errno.ENODATA, 3


class AlreadyExists(MountfsError):
    errno, exit_code = _errno.EEXIST, 4


class NotEmpty(MountfsError):
    errno, exit_code = _errno.ENOTEMPTY, 4


class NotADirectory(MountfsError):
    errno, exit_code = _errno.ENOTDIR, 4


class IsADirectory(MountfsError):
    errno, exit_code = _errno.EISDIR, 4


class ReadOnlyView(MountfsError):
    """Writing into a view: views are answers, not places."""

    errno, exit_code = _errno.EROFS, 4


class Protected(MountfsError):
    """Refused by a rule, not by permission bits: a file in the root, a read-only fact, a reserved name."""

    errno, exit_code = _errno.EPERM, 4


class NotHere(MountfsError):
    """A rename to another job of what is in the bucket alone: `mv` hears it and copies."""

    errno, exit_code = _errno.EXDEV, 4


class Unsupported(MountfsError):
    """An operation that artifacts do not have: hard links, devices, foreign xattr namespaces."""

    errno, exit_code = _errno.EPERM, 4


class UnsupportedAttribute(Unsupported):
    """An xattr outside `user.`: setting it is not supported."""

    errno = _errno.EOPNOTSUPP


class InvalidArgument(MountfsError):
    """A request that makes no sense: a directory moved below itself, an impossible date."""

    errno, exit_code = _errno.EINVAL, 2


class ArtifactTooLarge(MountfsError):
    """The write or truncate that would cross `limits.max_artifact_size`; nothing of it was written."""

    errno, exit_code = _errno.EFBIG, 4


class TagTooLarge(MountfsError):
    """More than 64 tags on one artifact, or a value beyond its limit."""

    errno, exit_code = _errno.E2BIG, 4


class QuotaExceeded(MountfsError):
    """The store's own quota is used up; a full disk is `CacheFull` instead."""

    errno, exit_code, waiting_helps = _errno.EDQUOT, 5, True


class CacheFull(MountfsError):
    """No room on the disk that holds the state directory, and nothing to evict."""

    errno, exit_code, waiting_helps = _errno.ENOSPC, 5, True


class RemoteUnavailable(MountfsError):
    """The bucket does not answer within the configured patience."""

    errno, exit_code, waiting_helps = _errno.ETIMEDOUT, 5, True


class RemoteDenied(MountfsError):
    """The bucket answers, and refuses."""

    errno, exit_code = _errno.EACCES, 6


class ObjectMissing(MountfsError):
    """The bucket has no object of that key. Never ENOENT for the kernel: the name of the artifact exists."""

    errno, exit_code = _errno.EIO, 3


class PutRefused(MountfsError):
    """The key that was to be made exists already: somebody else was first."""

    errno, exit_code = _errno.EEXIST, 4


class DeadlineExceeded(MountfsError):
    """This machine did not do it within `handler_seconds`; nothing was half done."""

    errno, exit_code, waiting_helps = _errno.EIO, 5, True


class TooManyOpen(MountfsError):
    """So many read virtual files at once that there is no room for one more of what they read."""

    errno, exit_code, waiting_helps = _errno.ENFILE, 5, True


class CorruptContent(MountfsError):
    """Stored bytes failed their integrity check; they were not served."""

    errno, exit_code = _errno.EIO, 7


class ContentLost(MountfsError):
    """The name exists, its content is neither here nor anywhere known."""

    errno, exit_code = _errno.EIO, 7


class CatalogError(MountfsError):
    """The catalog is damaged, foreign, or of a newer version; it is never overwritten."""

    errno, exit_code = _errno.EIO, 7


class BadSignature(MountfsError):
    errno, exit_code = _errno.EBADMSG, 7


class AlreadyMounted(MountfsError):
    """Another process holds this state directory; the sentence names its pid."""

    errno, exit_code = _errno.EBUSY, 8


class MountBusy(MountfsError):
    """Somebody still uses the mount; the sentence names pids and paths."""

    errno, exit_code, waiting_helps = _errno.EBUSY, 8, True


class NotMounted(MountfsError):
    """There is no mount here to talk to."""

    errno, exit_code = _errno.ENOENT, 3


class EnvironmentProblem(MountfsError):
    """The machine lacks something mountfs needs (/dev/fuse, a local disk, …); the sentence says what to do."""

    errno, exit_code = _errno.EIO, 6
