"""Text for people, on the terminal and on pages."""

import codecs

# What stands in place of a character that a console cannot show.
PLAIN = dict(zip("▁▂▃▄▅▆▇█▀×·–—…→←−‘’", "_.-=+*%#^x.--.><-''", strict=True)) | {"…": "..."}


def plain_characters(error: UnicodeError) -> tuple[str, int]:
    """The error handler `plain` of an encoding: a plain character for one that it lacks, else `?`."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(char, "?") for char in lacking), error.end


codecs.register_error("plain", plain_characters)


def printable(text: str) -> str:
    """The text on one line: what is not printable, and could steer a terminal, becomes an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction in percent, with so many digits after the point: 0.998 is `99.8 %`."""
    return f"{fraction * 100:.{digits}f} %"
