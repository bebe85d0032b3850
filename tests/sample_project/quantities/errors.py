"""What goes wrong when a person's number meets a program."""


class BadQuantity(ValueError):
    """The text is not a number with a unit we know; the message says what was expected."""

    def __init__(self, text: str, *, expected: str) -> None:
        super().__init__(f"{text!r} is not {expected}")
        self.text = text
