"""The errors that a user can cause, and put right: each has a stable `code` and a message of one line.

A message names the thing, what was found, what was expected, and what to do. How a command ends after
an error (exit code, JSON) is decided in `cli/exits.py`.
"""


class BirnnError(Exception):
    """The base of all errors here. `code` is stable, for scripts; the message is for people."""

    code = "failed"


class UsageError(BirnnError):
    """What was asked for can never be done, whatever the files hold."""

    code = "usage"


class DataError(BirnnError):
    """A data set is unknown, missing, damaged, or unfit for what was asked."""

    code = "data"


class DataUnavailableError(DataError):
    """A data set is not on disk and cannot be downloaded now; `--dataset auto` then takes `strokes`."""

    code = "data-unavailable"


class CheckpointError(BirnnError):
    """A checkpoint is missing, damaged, of another format, or contradicts itself."""

    code = "checkpoint"


class ImageError(BirnnError):
    """A picture is missing or cannot be read."""

    code = "image"


class RunError(BirnnError):
    """A run folder cannot be used as asked."""

    code = "run"


class OutputExistsError(BirnnError):
    """An output would overwrite a file or folder of the user's."""

    code = "output-exists"


class OutputError(BirnnError):
    """An output file cannot be written or continued."""

    code = "output"


class ConfigError(BirnnError):
    """Settings cannot work, or cannot work together."""

    code = "config"


class ExportError(BirnnError):
    """An exported file would not compute what its network computes."""

    code = "export"


class DivergedError(BirnnError):
    """During training the loss or the weights are no longer finite."""

    code = "diverged"


class OtherProcessError(BirnnError):
    """Another process of the same `torchrun` failed, and that process says why."""

    code = "other-process"


class BelowMinimumError(BirnnError):
    """A network's accuracy is below the minimum that was asked for."""

    code = "below-minimum"


class InterruptedRunError(BirnnError):
    """A run was stopped by a signal, by its number, and is saved."""

    code = "interrupted"

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
