"""Libraries that not everybody needs: each comes with an extra of the package."""

from importlib import import_module
from typing import Any

from birnn_cli.errors import ConfigError


def require(module: str, extra: str) -> Any:
    """Import a library that an extra brings.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        missing, cure = error.name or module, f'pip install "birnn-cli[{extra}]"'
        raise ConfigError(f"{missing} is not installed, which this needs: {cure}") from None
