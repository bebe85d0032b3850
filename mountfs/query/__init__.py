"""One language for questions about artifacts: `mountfs find` and `list`, `.find/<query>/`, `Store.find`.

    type=coverage and branch=main and size>1MiB and name~*.xml and created>7d and not status=failed

`and` binds tighter than `or`; `not`, parentheses, quotes '…' and "…"; a bare word asks for a tag of that key; `*` is
everything. What a comparison asks of something that an artifact lacks is not so, and `!=`, `!~` are `not` before it:
`status!=failed` holds where there is no status. Pure rules: no clock, no rows.
"""

from mountfs.query.fields import FIELDS, KEYWORDS
from mountfs.query.flags import escaped, from_flags
from mountfs.query.matching import Item, fits, matches
from mountfs.query.model import (
    EVERYTHING,
    NOTHING,
    And,
    Condition,
    Flag,
    HasTag,
    Moment,
    Not,
    Number,
    Op,
    Or,
    Query,
    Span,
    TagText,
    Text,
    conjunction,
    conjuncts,
    disjunction,
    negation,
)
from mountfs.query.moments import parse_span
from mountfs.query.parsing import MOST_CONDITIONS, MOST_DEPTH, MOST_TEXT_BYTES, parse
from mountfs.query.writing import unparse

__all__ = [
    "EVERYTHING",
    "FIELDS",
    "KEYWORDS",
    "MOST_CONDITIONS",
    "MOST_DEPTH",
    "MOST_TEXT_BYTES",
    "NOTHING",
    "And",
    "Condition",
    "Flag",
    "HasTag",
    "Item",
    "Moment",
    "Not",
    "Number",
    "Op",
    "Or",
    "Query",
    "Span",
    "TagText",
    "Text",
    "conjunction",
    "conjuncts",
    "disjunction",
    "escaped",
    "fits",
    "from_flags",
    "matches",
    "negation",
    "parse",
    "parse_span",
    "unparse",
]
