"""Learning, with torch: the only room besides `network.torch_engine` that imports it."""

from importlib import import_module

from birnn_cli.errors import ConfigError

try:
    import_module("torch")
except ImportError as error:
    raise ConfigError(
        f"training needs torch, which cannot be imported ({error}): pip install torch torchvision; "
        "predict, eval, info and export work without it"
    ) from None
