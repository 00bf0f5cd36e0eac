"""Text for people, on the terminal and on pages."""


def printable(text: str) -> str:
    """The text on one line: what is not printable, and could steer a terminal, becomes an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction in percent, with so many digits after the point: 0.998 is `99.8 %`."""
    return f"{fraction * 100:.{digits}f} %"
