"""The network as a web page: one HTML file to draw in, which loads nothing and sends nothing.

It is made of the files beside this module: `network.js` computes what `network/numpy_engine.py` does,
`drawing.js` brings what is drawn to MNIST's convention, and `app.js` shows it.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np

from birnn_cli.data import published
from birnn_cli.digits import UNSURE_BELOW
from birnn_cli.errors import ConfigError
from birnn_cli.runs.checkpoint import Checkpoint

PARTS = Path(__file__).parent
SCRIPTS = ("network.js", "drawing.js", "app.js")
MAX_BYTES = 4_000_000


def to_html(checkpoint: Checkpoint) -> bytes:
    """A checkpoint's page: HTML in UTF-8, the same bytes for the same checkpoint.

    Raises:
        ConfigError: The network is too large: the page would have more than MAX_BYTES.
    """
    config, validation = checkpoint.config, checkpoint.metadata.validation
    arrays = {name: checkpoint.weights[name] for name in config.architecture.parameter_shapes()}
    with np.errstate(over="ignore"):  # what is too large for float16 becomes infinite, so it differs
        fits = [np.array_equal(array.astype(np.float16), array) for array in arrays.values()]
    dtype = "float16" if all(fits) else "float32"
    little_endian = np.dtype(dtype).newbyteorder("<")
    content = b"".join(array.astype(little_endian).tobytes() for array in arrays.values())
    network = {
        "architecture": vars(config.architecture),
        "classes": config.classes,
        "reader": config.reader,
        "unsure_below": UNSURE_BELOW,
        "recipe": config.recipe_name,
        "dataset": published.title(config.dataset),
        "accuracy": validation["accuracy"] if validation else None,
        "sizes": {name: array.size for name, array in arrays.items()},
        "dtype": dtype,
        "weights": base64.b64encode(content).decode(),
    }
    style, script = _read("style.css"), "\n".join(map(_read, SCRIPTS))
    parts = {"STYLE": style, "STYLE_HASH": _hash(style), "SCRIPT": script, "SCRIPT_HASH": _hash(script)}
    # Inside a script element, only `<` can end the element or begin a comment.
    parts["NETWORK"] = json.dumps(network).replace("<", "\\u003c")
    document = re.sub("@([A-Z_]+)@", lambda found: parts[found[1]], _read("index.html")).encode()
    if len(document) > MAX_BYTES:
        raise ConfigError(
            f"the page would have {len(document):,} bytes, for this network's "
            f"{config.architecture.num_parameters:,} weights in {dtype}, expected at most "
            f"{MAX_BYTES:,}: name a smaller one with --checkpoint"
        )
    return document


def _read(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The hash by which the page's Content-Security-Policy allows this text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
