"""Which store a command means, and the options that say so."""

_MEANINGS = {
    1: "no",
    2: "wrong usage or settings",
    3: "not found, or nothing is mounted",
    4: "refused",
    5: "no room now, or not in time",
    6: "this machine lacks something",
    7: "damaged",
    8: "in use",
}


def exit_codes(*codes: int) -> str:
    """The last line of a help text."""
    return " · ".join(["Exit codes: 0 done", *(f"{code} {_MEANINGS[code]}" for code in codes), "70 a bug"])
