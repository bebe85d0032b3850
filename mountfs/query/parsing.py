"""From text to a query. Every refusal says where."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NoReturn

from mountfs.errors import InvalidArgument, InvalidName, QueryError
from mountfs.namespace import TAG_KEY, TAG_KEY_MAX
from mountfs.namespace.keys import shown
from mountfs.query.fields import FIELDS, FLAGS, KEYWORDS, TAG_PREFIX, Sense, allowed_operators, condition, nearest_field
from mountfs.query.model import EVERYTHING, Flag, HasTag, Op, Query, TagText, conjunction, disjunction, negation

MOST_TEXT_BYTES: Final = 4096
MOST_CONDITIONS: Final = 64
MOST_DEPTH: Final = 32

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_SPACE: Final = re.compile(r"\s*")
_WORD: Final = re.compile(r"""[^\s()'"=<>~!]+""")
_OPERATOR: Final = re.compile(r"!=|!~|<=|>=|[=<>~]")
_VALUE: Final = re.compile(r"""[^\s()'"=<>~!][^\s()'"]*""")
_ESCAPES: Final = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_TAG_OPERATORS: Final = ("=", "!=", "~", "!~")


def parse(text: str, *, now_ns: int, extra: Mapping[str, str] = _NONE) -> Query:
    """The query that a text says. `extra` are the settings' own types, as `canonical_type` takes them.

    Raises QueryError, with the position.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_TEXT_BYTES:
        raise QueryError(
            f"a query of {size} bytes; allowed: up to {MOST_TEXT_BYTES}", text=text, position=MOST_TEXT_BYTES
        )
    return _Parser(text, Sense(now_ns, extra)).whole()


class _Parser:
    """Recursive descent over the characters; `at` is always behind what was understood and the space after it."""

    def __init__(self, text: str, sense: Sense) -> None:
        self._text = text
        self._sense = sense
        self._at = 0
        self._conditions = 0
        self._skip_space()

    def whole(self) -> Query:
        if self._ended():
            self._fail("the query is empty; say a condition such as branch=main, or * for everything", self._at)
        found = self._either(0)
        if not self._ended():
            what = (
                "there is no ( for this )" if self._text[self._at] == ")" else "here `and`, `or` or the end is expected"
            )
            self._fail(f"{what}; a value with spaces, quotes or parentheses needs quotes around it", self._at)
        return found

    # -- the grammar ----------------------------------------------------------------------------------------

    def _either(self, depth: int) -> Query:
        parts = [self._both(depth)]
        while self._keyword("or"):
            parts.append(self._both(depth))
        return disjunction(parts)

    def _both(self, depth: int) -> Query:
        parts = [self._single(depth)]
        while self._keyword("and"):
            parts.append(self._single(depth))
        return conjunction(parts)

    def _single(self, depth: int) -> Query:
        if depth > MOST_DEPTH:
            self._fail(f"nested more than {MOST_DEPTH} deep", self._at)
        if self._keyword("not"):
            return negation(self._single(depth + 1))
        if not self._sign("("):
            return self._condition()
        opened = self._at - 1
        found = self._either(depth + 1)
        if not self._sign(")"):
            if self._ended():
                self._fail("this ( has no )", opened)
            self._fail("here `and`, `or` or ) is expected", self._at)
        return found

    def _condition(self) -> Query:
        start = self._at
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            self._fail(f"more than {MOST_CONDITIONS} conditions", start)
        word = self._word()
        if word == "*" and not self._next_operator():
            return EVERYTHING
        if word in FIELDS:
            return self._of_field(word, start)
        return self._of_tag(self._key(word, start), start)

    # -- conditions -----------------------------------------------------------------------------------------

    def _of_field(self, field: str, start: int) -> Query:
        operator_at, allowed = self._at, allowed_operators(field)
        operator = self._operator()
        if operator is None:
            if field in FLAGS:
                return Flag(field)
            self._fail(
                f"{field} is a field: compare it with {' '.join(allowed)}; a tag of that key is tag.{field}", start
            )
        if operator not in allowed:
            self._fail(f"{field} is compared with {' '.join(allowed)}, not with {operator}", operator_at)
        value_at, value = self._value()
        try:
            return condition(field, operator, value, self._sense)
        except (InvalidArgument, InvalidName) as error:
            self._fail(f"{field}: {error}", value_at)

    def _of_tag(self, key: str, start: int) -> Query:
        operator_at = self._at
        operator = self._operator()
        if operator is None:
            return HasTag(key)
        if operator not in _TAG_OPERATORS:
            why = f"{key} is no field but a tag, and tags are compared with {' '.join(_TAG_OPERATORS)}"
            self._fail(f"{why}, not with {operator}{self._hint(key)}", operator_at)
        _, value = self._value()
        made = TagText(key, Op(operator.removeprefix("!")), value)
        return negation(made) if operator.startswith("!") else made

    def _key(self, word: str, start: int) -> str:
        key = word.removeprefix(TAG_PREFIX)
        if not TAG_KEY.fullmatch(key) or len(key) > TAG_KEY_MAX:
            self._fail(f"{shown(key)} is neither a field nor the key of a tag (a-z 0-9 _ -){self._hint(key)}", start)
        return key

    @staticmethod
    def _hint(word: str) -> str:
        near = nearest_field(word)
        return f"; did you mean the field {near}?" if near else ""

    # -- words ----------------------------------------------------------------------------------------------

    def _ended(self) -> bool:
        return self._at == len(self._text)

    def _skip_space(self) -> None:
        matched = _SPACE.match(self._text, self._at)
        assert matched is not None
        self._at = matched.end()

    def _sign(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += 1
        self._skip_space()
        return True

    def _keyword(self, keyword: str) -> bool:
        matched = _WORD.match(self._text, self._at)
        if matched is None or matched[0].lower() != keyword:
            return False
        self._at = matched.end()
        self._skip_space()
        return True

    def _word(self) -> str:
        matched = _WORD.match(self._text, self._at)
        if matched is None or matched[0].lower() in KEYWORDS:
            self._fail("here a condition is expected, such as branch=main or size>1MiB", self._at)
        self._at = matched.end()
        self._skip_space()
        return matched[0]

    def _next_operator(self) -> bool:
        return _OPERATOR.match(self._text, self._at) is not None

    def _operator(self) -> str | None:
        matched = _OPERATOR.match(self._text, self._at)
        if matched is None:
            return None
        self._at = matched.end()
        self._skip_space()
        return matched[0]

    def _value(self) -> tuple[int, str]:
        """(where it begins, the value)."""
        start = self._at
        if not self._ended() and self._text[start] in "'\"":
            value = self._quoted()
        else:
            matched = _VALUE.match(self._text, start)
            if matched is None:
                self._fail("here a value is expected; quote one that begins with a sign", start)
            self._at, value = matched.end(), matched[0]
        if not self._ended() and self._text[self._at] in "'\"":
            self._fail("a quote within a value: quote all of it, and write \\' or \\\" inside", self._at)
        self._skip_space()
        return start, value

    def _quoted(self) -> str:
        start, quote, signs = self._at, self._text[self._at], []
        at = start + 1
        while at < len(self._text) and self._text[at] != quote:
            if self._text[at] == "\\":
                at += 1
                escaped = self._text[at : at + 1]
                if escaped and escaped not in _ESCAPES:
                    self._fail("unknown escape; allowed: \\\\ \\' \\\" \\n \\t", at - 1)
                signs.append(_ESCAPES.get(escaped, ""))
            else:
                signs.append(self._text[at])
            at += 1
        if at >= len(self._text):
            self._fail("this quote is never closed", start)
        self._at = at + 1
        if not self._ended() and not (self._text[self._at].isspace() or self._text[self._at] in "()'\""):
            self._fail("here a space, `)` or the end is expected", self._at)
        return "".join(signs)

    def _fail(self, sentence: str, position: int) -> NoReturn:
        raise QueryError(sentence, text=self._text, position=position)
