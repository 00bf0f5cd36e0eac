"""How things are put in words, on the terminal and on pages."""


def printable(text: str) -> str:
    """Text that stays on its line and cannot steer the terminal: the rest as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def percent(share: float, digits: int = 1) -> str:
    """0.998 as `99.8 %`."""
    return f"{share * 100:.{digits}f} %"
