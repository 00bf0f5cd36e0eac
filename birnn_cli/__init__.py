"""birnn: a bidirectional LSTM reads an image of a digit row by row and says which digit it is.

    import birnn_cli as birnn

    model = birnn.load()
    print(model.predict("7.png"))

All but the errors is imported when it is first used, so that the import itself takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from birnn_cli.errors import BirnnError, CheckpointError, ConfigError, DataError, ImageError, RunError
from birnn_cli.version import __version__

if TYPE_CHECKING:
    from birnn_cli.evaluation import Evaluation
    from birnn_cli.explanation import Explanation
    from birnn_cli.model import Model, load
    from birnn_cli.prediction import Candidate, DigitReading, Prediction
    from birnn_cli.training.run import Run, train

__all__ = ["Model", "Run", "__version__", "load", "train"]
__all__ += ["Candidate", "DigitReading", "Evaluation", "Explanation", "Prediction"]
__all__ += ["BirnnError", "CheckpointError", "ConfigError", "DataError", "ImageError", "RunError"]

_MODULES = {
    "evaluation": ("Evaluation",),
    "explanation": ("Explanation",),
    "model": ("Model", "load"),
    "prediction": ("Candidate", "DigitReading", "Prediction"),
    "training.run": ("Run", "train"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"birnn_cli.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
