"""What the benchmark writes: source text and logs that compress as real ones do, the same in every run."""

import random
import sysconfig
from functools import cache
from pathlib import Path

_MODULES = ("http.server", "db.pool", "scheduler", "worker", "auth.session", "cache", "storage.s3", "mailer")
_LEVELS = ("DEBUG", "INFO", "INFO", "INFO", "INFO", "WARNING", "ERROR")
_MESSAGES = (
    'request {hex} "GET /api/v2/projects/{small}/artifacts?page={digit}" 200 {number} bytes in {ms} ms',
    'request {hex} "POST /api/v2/jobs" 201 {number} bytes in {ms} ms',
    "connection {small} returned to pool after {ms} ms, {digit} waiting",
    "job {hex} step {digit}: collected {small} tests in {ms} ms",
    "job {hex} uploaded coverage/html/module_{small}.html ({number} bytes)",
    "retrying {hex} after timeout, attempt {digit}, next in {ms} ms",
    "session {hex} for user-{small} expired {number} s ago",
    "cache miss for key {hex}:{small}, loaded {number} bytes in {ms} ms",
)


def source_corpus(target: Path, *, limit_bytes: int = 24 << 20) -> Path:
    """The standard library's own source text, concatenated."""
    if not target.exists():
        sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*/*.py"))
        kept = (path for path in sources if "site-packages" not in path.parts)
        with target.open("wb") as corpus:
            for path in kept:
                corpus.write(path.read_bytes())
                if corpus.tell() > limit_bytes:
                    break
    return target


def log_file(target: Path, *, size_bytes: int) -> Path:
    """Timestamped lines with varying fields; after 32 MiB they repeat, far beyond any window of zstd -3."""
    if not target.exists():
        block = _log_block()
        with target.open("wb") as log:
            while (left := size_bytes - log.tell()) > 0:
                log.write(block[:left])
    return target


@cache
def _log_block(size_bytes: int = 32 << 20) -> bytes:
    draw = random.Random(20_261_121)
    lines: list[str] = []
    milliseconds = length = 0
    while length < size_bytes:
        milliseconds += int(draw.expovariate(0.05))
        lines.append(_log_line(draw, milliseconds))
        length += len(lines[-1]) + 1
    return "\n".join(lines).encode()[:size_bytes]


def _log_line(draw: random.Random, milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, hours = seconds // 60, seconds // 3600
    fields = draw.getrandbits(96)
    message = _MESSAGES[fields & 7].format(
        hex=f"{(fields >> 3) & 0xFFFFFFFF:08x}",
        small=(fields >> 35) % 1000,
        digit=(fields >> 45) % 10,
        number=(fields >> 49) % 90_000,
        ms=(fields >> 66) % 4_000 / 10,
    )
    date = f"2026-11-{1 + hours // 24 % 28:02}T{hours % 24:02}"
    clock = f"{minutes % 60:02}:{seconds % 60:02}.{fraction:03}Z"
    return f"{date}:{clock} {_LEVELS[(fields >> 78) % 7]:7} [{_MODULES[(fields >> 81) & 7]}] {message}"
