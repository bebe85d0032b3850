"""Reading a settings file: bytes of a regular file, no more than such a file can have.

What lies in a working directory may have been put there by a stranger. A symlink from there to a file that only the
user may read would print that file, line by line, as unknown keys.
"""

import os
import stat
from pathlib import Path

from mountfs.config.document import SIZE_MAX_BYTES
from mountfs.errors import ConfigError


def settings_bytes(path: Path) -> bytes:
    """The content of a settings file; one byte more than the limit says that it is too large.

    Raises ConfigError, also for a FIFO or a device, which is neither waited for nor read.
    """
    try:
        # not blocking: opening a FIFO waits for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{path}: not a regular file; allowed: a settings file that can be read")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(SIZE_MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ConfigError(f"{path}: {reason}; allowed: a settings file that can be read") from None


def refuse_to_follow_out(path: Path) -> None:
    """Raises ConfigError where a file found in a working directory is a symlink to a place outside of its directory."""
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(path.parent)):
        raise ConfigError(
            f"{path}: a symlink that leads out of its directory; allowed: a file, or a link to one below {path.parent};"
            f" any after `mountfs config trust {path}`"
        )
