"""A checkpoint's network as a file, in the format that is named or that the file's ending says."""

from pathlib import Path
from typing import Literal

from birnn_cli.errors import ConfigError, OutputExistsError
from birnn_cli.files import write_atomically
from birnn_cli.runs.checkpoint import Checkpoint

Format = Literal["onnx", "html"]


def export(checkpoint: Checkpoint, file: Path, file_format: Format | None, *, force: bool) -> Format:
    """Write a file that works without birnn.

    Args:
        checkpoint: The network to export.
        file: The file to write.
        file_format: The format; None takes it from the file's ending.
        force: Whether a file that exists may be replaced.

    Returns:
        The format written.

    Raises:
        ConfigError: The ending names no format, a library is missing, or the network is too large.
        ExportError: The exported network's probabilities differ from birnn's.
        OutputExistsError: The file exists, and `force` is false.
    """
    if file.exists() and not force:
        raise OutputExistsError(f"{file} exists already: name another, or add --force to replace it")
    chosen = file_format or file.suffix.lower().removeprefix(".")
    if chosen == "onnx":
        from birnn_cli.export.onnx import to_onnx

        write_atomically(file, to_onnx(checkpoint))
        return "onnx"
    if chosen == "html":
        from birnn_cli.export.page import to_html

        write_atomically(file, to_html(checkpoint))
        return "html"
    raise ConfigError(
        f"{file} says no format by its ending: expected .onnx or .html, or --format onnx or html"
    )
