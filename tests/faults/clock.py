"""A process whose clock is ahead or behind, by a library loaded before the others (clock.c)."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.faults.shim import ShimError

SOURCE = Path(__file__).with_name("clock.c")


def build_clock(folder: Path) -> Path:
    """Compile it into `folder` and return the library; without a C compiler this is an error."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise ShimError("No C compiler named cc was found: fault tests need one (Debian: apt install gcc).")
    library = folder / "clock.so"
    options = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run([compiler, *options, "-o", library, SOURCE, "-ldl"], check=True, capture_output=True)
    return library


def skewed(library: Path, *, ahead_seconds: int) -> dict[str, str]:
    """The variables that make it so; negative seconds are behind."""
    preloaded = " ".join(filter(None, [str(library), os.environ.get("LD_PRELOAD")]))
    return {"LD_PRELOAD": preloaded, "CLOCK_AHEAD_SECONDS": str(ahead_seconds)}
