"""Libraries that not everybody needs: an extra of the package installs each of them."""

from importlib import import_module
from typing import Any

from birnn_cli.errors import ConfigError

# What each extra installs. Errors name the packages, which helps however birnn was installed.
PACKAGES = {
    "heic": "pillow-heif",
    "onnx": "onnx onnxruntime",
    "report": "jinja2 matplotlib",
    "tensorboard": "tensorboard",
}


def require(module: str, extra: str) -> Any:
    """Import a module that an extra of the package installs; a ConfigError names what is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise ConfigError(
            f"{missing} is not installed, which this needs: pip install {PACKAGES[extra]}"
        ) from None
