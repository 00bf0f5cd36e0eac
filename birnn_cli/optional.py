"""Libraries that not everybody needs: an extra of the package installs each of them."""

from importlib import import_module
from typing import Any

from birnn_cli.errors import ConfigError


def require(module: str, extra: str) -> Any:
    """Import a module that `birnn-cli[extra]` installs; a ConfigError names what is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise ConfigError(
            f'{missing} is not installed, which this needs: pip install "birnn-cli[{extra}]"'
        ) from None
