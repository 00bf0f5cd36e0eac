"""The errors that a user can cause, and put right: each has a stable `code` and a message of one line.

A message names the thing, what was found, what was expected, and what to do. How a command ends after
an error (exit code, JSON) is decided in `cli/exits.py`.
"""


class BirnnError(Exception):
    """The base of all errors here. `code` is stable, for scripts; the message is for people."""

    code = "failed"

    def __init_subclass__(cls, code: str | None = None) -> None:
        cls.code = code or cls.code


class DataError(BirnnError, code="data"):
    """A data set is unknown, missing, damaged, or unfit for what was asked."""


class DataUnavailableError(DataError, code="data-unavailable"):
    """A data set is not on disk and cannot be downloaded now; `--dataset auto` then takes `strokes`."""


class CheckpointError(BirnnError, code="checkpoint"):
    """A checkpoint is missing, damaged, of another format, or contradicts itself."""


class ImageError(BirnnError, code="image"):
    """A picture is missing or cannot be read."""


class RunError(BirnnError, code="run"):
    """A run folder cannot be used as asked."""


class OutputExistsError(BirnnError, code="output-exists"):
    """An output would overwrite a file or folder of the user's."""


class OutputError(BirnnError, code="output"):
    """An output file cannot be written or continued."""


class ConfigError(BirnnError, code="config"):
    """Settings cannot work, or cannot work together."""


class UsageError(ConfigError, code="usage"):
    """What was asked for can never be done, whatever the files hold."""


class ExportError(BirnnError, code="export"):
    """An exported file would not compute what its network computes."""


class DivergedError(BirnnError, code="diverged"):
    """During training the loss or the weights are no longer finite."""


class OtherProcessError(BirnnError, code="other-process"):
    """Another process of the same `torchrun` failed, and that process says why."""


class BelowMinimumError(BirnnError, code="below-minimum"):
    """A network's accuracy is below the minimum that was asked for."""


class InterruptedRunError(BirnnError, code="interrupted"):
    """A run was stopped by a signal, by its number, and is saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
