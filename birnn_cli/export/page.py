"""The network as a web page: one HTML file to draw in, which loads nothing and sends nothing.

It is made of the files beside this module: `network.js` computes what `network/numpy_engine.py` does,
`drawing.js` brings what is drawn to MNIST's convention, and `app.js` shows it.
"""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from birnn_cli.errors import ConfigError
from birnn_cli.prediction import UNSURE_BELOW
from birnn_cli.runs.checkpoint import Arrays, Checkpoint

PARTS = Path(__file__).parent
SCRIPTS = ("network.js", "drawing.js", "app.js")
MAX_BYTES = 4_000_000


def to_html(checkpoint: Checkpoint) -> bytes:
    """A checkpoint's page: HTML in UTF-8, the same bytes for the same checkpoint.

    Raises:
        ConfigError: The page would be larger than MAX_BYTES.
    """
    architecture = checkpoint.config.architecture
    dtype = "float16" if _fits_float16(checkpoint.weights) else "float32"
    values = {**_describe(checkpoint), "dtype": dtype, "weights": ""}
    # Base64 writes 4 characters for 3 bytes. The size is checked first: a network may be far too large.
    size = len(_document(values)) + -(-architecture.num_parameters * np.dtype(dtype).itemsize // 3) * 4
    if size > MAX_BYTES:
        raise ConfigError(
            f"the page would have {size:,} bytes, for this network's {architecture.num_parameters:,} "
            f"weights in {dtype}, expected at most {MAX_BYTES:,}: name a smaller one with --checkpoint"
        )
    little_endian = np.dtype(dtype).newbyteorder("<")
    arrays = (checkpoint.weights[name] for name in architecture.parameter_shapes())
    content = b"".join(array.astype(little_endian).tobytes() for array in arrays)
    return _document({**values, "weights": base64.b64encode(content).decode()})


def _document(values: dict[str, Any]) -> bytes:
    """The page's files and what it is told of the network, as one HTML document."""
    style, script = _read("style.css"), "\n".join(map(_read, SCRIPTS))
    parts = {
        "STYLE": style,
        "STYLE_HASH": _hash(style),
        "SCRIPT": script,
        "SCRIPT_HASH": _hash(script),
        # Inside a script element, only `<` can end the element or begin a comment.
        "NETWORK": json.dumps(values).replace("<", "\\u003c"),
    }
    return re.sub("@([A-Z_]+)@", lambda found: parts[found[1]], _read("index.html")).encode()


def _read(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The hash by which the page's Content-Security-Policy allows this text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the page is told of a checkpoint, except its weights."""
    validation, config = checkpoint.metadata.validation, checkpoint.config
    return {
        "architecture": vars(config.architecture),
        "classes": config.classes,
        "reader": config.reader,
        "unsure_below": UNSURE_BELOW,
        "recipe": config.recipe_name,
        # A folder's name alone: where it lies on its owner's disk is private.
        "dataset": Path(config.dataset).name,
        "accuracy": validation["accuracy"] if validation else None,
    }


def _fits_float16(weights: Arrays) -> bool:
    """Whether float16 holds every weight exactly, as it does in the model that ships."""
    with np.errstate(over="ignore"):
        return all(np.array_equal(array.astype(np.float16), array) for array in weights.values())
