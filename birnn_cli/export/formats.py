"""Files of a network that work without birnn: which format, and where to."""

from pathlib import Path
from typing import Literal

from birnn_cli.errors import ConfigError, OutputExistsError
from birnn_cli.files import write_atomically
from birnn_cli.runs.checkpoint import Checkpoint

Format = Literal["onnx", "html"]


def export(network: Checkpoint, file: Path, file_format: Format | None, *, force: bool) -> Format:
    """Make a file of a network.

    Args:
        network: What it is made of.
        file: Where to.
        file_format: What it is to be; None goes by the file's ending.
        force: Whether a file that exists may be replaced.

    Returns:
        What it is.

    Raises:
        ConfigError: The ending says nothing, a library is missing, or the network is too large.
        ExportError: What was made would not be the same network.
        OutputExistsError: The file exists, and nothing is forced.
    """
    wanted = file_format or file.suffix.lower().removeprefix(".")
    if file.exists() and not force:
        raise OutputExistsError(f"{file} exists already: name another, or add --force to replace it")
    if wanted == "onnx":
        from birnn_cli.export.onnx import to_onnx

        write_atomically(file, to_onnx(network))
        return "onnx"
    if wanted == "html":
        from birnn_cli.export.page import to_html

        write_atomically(file, to_html(network))
        return "html"
    raise ConfigError(
        f"{file} says no format by its ending: expected .onnx or .html, or --format onnx or html"
    )
