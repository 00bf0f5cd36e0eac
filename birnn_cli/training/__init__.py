"""Learning, with torch: the only room besides `network.torch_engine` that imports it."""

from birnn_cli.errors import ConfigError

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ConfigError(
        f"training needs torch, which cannot be imported ({error}): pip install torch torchvision; "
        "predict, eval, info and export work without it"
    ) from None
