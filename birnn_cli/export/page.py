"""A network as a page: one HTML file in which people draw and watch it read, with nothing to load.

Its parts lie in `page_parts/`: `network.js` is `network.forward` again, `reader.js` is `data.images`.
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
SCRIPTS = ("network.js", "reader.js", "app.js")
MAX_BYTES = 4_000_000


def to_html(network: Checkpoint) -> bytes:
    """The page for a network: HTML in UTF-8, the same bytes for the same network.

    Raises:
        ConfigError: The network is too large for a page.
    """
    architecture = network.config.architecture
    dtype = "float16" if _are_halves(network.weights) else "float32"
    values = {**_values(network), "dtype": dtype, "weights": ""}
    # In base64; measured before it is made, since a network may be a thousand times too large.
    size = len(_document(values)) + -(-architecture.num_parameters * np.dtype(dtype).itemsize // 3) * 4
    if size > MAX_BYTES:
        raise ConfigError(
            f"the page would have {size:,} bytes, for this network's {architecture.num_parameters:,} "
            f"weights in {dtype}, expected at most {MAX_BYTES:,}: name a smaller one with --checkpoint"
        )
    little_endian = np.dtype(dtype).newbyteorder("<")
    arrays = (network.weights[name] for name in architecture.parameter_shapes())
    content = b"".join(array.astype(little_endian).tobytes() for array in arrays)
    return _document({**values, "weights": base64.b64encode(content).decode()})


def _document(values: dict[str, Any]) -> bytes:
    """The page's parts as one document, with what it knows of the network."""
    style, script = _part("style.css"), "\n".join(map(_part, SCRIPTS))
    parts = {
        "STYLE": style,
        "STYLE_HASH": _hash(style),
        "SCRIPT": script,
        "SCRIPT_HASH": _hash(script),
        # In a script's element only `<` can end it or begin a comment.
        "NETWORK": json.dumps(values).replace("<", "\\u003c"),
    }
    return re.sub("@([A-Z_]+)@", lambda found: parts[found[1]], _part("index.html")).encode()


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's Content-Security-Policy lets run or style it: this text alone."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _values(network: Checkpoint) -> dict[str, Any]:
    """All that the page knows of a network but its weights."""
    about, config = network.metadata, network.config
    return {
        "architecture": vars(config.architecture),
        "classes": config.classes,
        "reader": config.reader,
        "unsure_below": UNSURE_BELOW,
        "recipe": config.recipe_name,
        "dataset": Path(config.dataset).name,  # of a folder, not where it lies on its owner's disk
        "accuracy": about.validation["accuracy"] if about.validation else None,
    }


def _are_halves(weights: Arrays) -> bool:
    """Whether every weight is exactly a float16, as in the model that ships."""
    with np.errstate(over="ignore"):
        return all(np.array_equal(array.astype(np.float16), array) for array in weights.values())
