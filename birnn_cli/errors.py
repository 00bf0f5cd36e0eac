"""The errors that a user can cause, each one line, and the exit codes.

A message names the thing, what was found, what was expected, and what to do.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells the shell."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BELOW_MINIMUM = 3
    INTERRUPTED = 130
    TERMINATED = 143


class BirnnError(Exception):
    """Something that a user can put right. `code` is stable, for scripts; the text is for people.

    `status`, as JSON has it, and `exit_code` are how the command ends.
    """

    code, status, exit_code = "failed", "error", ExitCode.FAILED


class DataError(BirnnError):
    """A data set that is unknown, not there, damaged, or unfit for what was asked."""

    code = "data"


class DataUnavailableError(DataError):
    """A data set that is not on disk and cannot be downloaded now. `--dataset auto` falls back on it."""

    code = "data-unavailable"


class CheckpointError(BirnnError):
    """A checkpoint that is not there, damaged, of another format, or at odds with itself."""

    code = "checkpoint"


class ImageError(BirnnError):
    """A picture that is not there or cannot be read."""

    code = "image"


class RunError(BirnnError):
    """A run folder that cannot be used as asked."""

    code = "run"


class OutputExistsError(BirnnError):
    """An output that would overwrite something of the user's."""

    code = "output-exists"


class OutputError(BirnnError):
    """A file that cannot be gone on with."""

    code = "output"


class ConfigError(BirnnError):
    """Settings that cannot work together."""

    code = "config"


class ExportError(BirnnError):
    """An export that would not be the network that it is made of."""

    code = "export"


class DivergedError(BirnnError):
    """A training whose loss or weights are no longer finite."""

    code = "diverged"


class ElsewhereError(BirnnError):
    """Another process of the group failed; that one says why."""

    code = "elsewhere"


class BelowMinimumError(BirnnError):
    """A network whose accuracy is not what was asked for."""

    code, status, exit_code = "below-minimum", "below-minimum", ExitCode.BELOW_MINIMUM


class InterruptedRunError(BirnnError):
    """A run that was stopped by a signal and saved."""

    code = status = "interrupted"

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = ExitCode(128 + signal_number)
