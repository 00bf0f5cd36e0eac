"""The network as files that work without birnn: an ONNX model and a web page."""

from pathlib import Path

from birnn_cli.errors import UsageError
from birnn_cli.export.onnx import to_onnx
from birnn_cli.export.page import to_html
from birnn_cli.files import write_atomically
from birnn_cli.runs.checkpoint import Checkpoint

WRITERS = {"onnx": to_onnx, "html": to_html}


def format_of(file: Path, file_format: str | None = None) -> str:
    """The format of an exported file: the one that is named, or the file's ending.

    Raises:
        UsageError: The ending names no format.
    """
    file_format = file_format or file.suffix.lower().removeprefix(".")
    if file_format not in WRITERS:
        raise UsageError(
            f"{file} says no format by its ending: expected .onnx or .html, or --format onnx or html"
        )
    return file_format


def export(checkpoint: Checkpoint, file: Path, file_format: str) -> None:
    """Write a network to a file.

    Raises:
        ConfigError: A library is missing, or the network is too large.
        ExportError: The exported network's probabilities differ from birnn's.
    """
    write_atomically(file, WRITERS[file_format](checkpoint))
