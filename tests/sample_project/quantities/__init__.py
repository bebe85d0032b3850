"""Sizes and durations as people write them: `100 MiB`, `1h30m`.

Everything inside a program counts bytes and seconds; this is the edge where units come and go.
"""

from quantities.durations import format_duration, parse_duration
from quantities.errors import BadQuantity
from quantities.sizes import format_size, parse_size

__all__ = ["BadQuantity", "format_duration", "format_size", "parse_duration", "parse_size"]
