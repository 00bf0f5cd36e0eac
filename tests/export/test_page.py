"""The exported page as a file: what it holds, and what is refused. test_page_in_browser.py opens it."""

import base64
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from birnn_cli.errors import ConfigError
from birnn_cli.export import page
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint
from tests.conftest import make_network

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"'&amp;\\",
    "ä\u2028\udcff",
    "@STYLE@",
)


def config_of(document: bytes) -> dict[str, Any]:
    """What the page is told of its network, as a browser finds it."""
    found = re.findall(rb'<script type="application/json" id="network">(.*?)</script>', document, re.S)
    assert len(found) == 1
    return json.loads(found[0])  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return checkpoint.load(folders.SHIPPED)


def test_the_page_of_the_shipped_model_is_small_and_the_same_each_time(shipped: Checkpoint) -> None:
    document = page.to_html(shipped)
    assert len(document) < page.MAX_BYTES
    assert document == page.to_html(checkpoint.load(folders.SHIPPED))


def test_the_page_names_nothing_outside_itself_and_forbids_connections(shipped: Checkpoint) -> None:
    text = page.to_html(shipped).decode()
    assert not re.search(
        r"(?i)(https?:)?//[a-z0-9-]+\.[a-z]|\bimport\b[^\n]*from|\bsrc=|(?<!\w)url\(", text
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'; connect-src 'none'; ")
    assert "unsafe" not in policy[1]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_weights_are_stored_in_float16_only_where_it_holds_them_exactly(dtype: str) -> None:
    network = make_network()
    weights = {name: array.astype(dtype).astype(np.float32) for name, array in network.weights.items()}
    values = config_of(page.to_html(replace(network, weights=weights)))
    content = base64.b64decode(values["weights"])
    assert values["dtype"] == dtype
    expected = np.concatenate([array.ravel() for array in weights.values()])
    found = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
    np.testing.assert_array_equal(found.astype(np.float32), expected)


def test_a_weight_beyond_float16_keeps_all_in_float32() -> None:
    network = make_network()
    network.weights["head.bias"][0] = 1e6
    assert config_of(page.to_html(network))["dtype"] == "float32"


def test_names_of_classes_cannot_become_markup() -> None:
    document = page.to_html(make_network(HOSTILE))
    assert config_of(document)["classes"] == list(HOSTILE)
    assert document.count(b"<script") == page.to_html(make_network()).count(b"<script")


def test_the_page_names_a_data_folder_without_its_path() -> None:
    document = page.to_html(make_network())
    assert config_of(document)["dataset"] == "letters"
    assert b"somebody" not in document


def test_a_network_too_large_for_a_page_is_refused_in_a_line_that_says_what_to_do() -> None:
    # 4 × 300 × (28 + 300 + 1) × 2 numbers, and the head's 10 × 600 + 10.
    network = make_network(hidden_size=300)
    with pytest.raises(ConfigError) as error:
        page.to_html(network)
    for part in ("795,610", "4,000,000", "float32", "--checkpoint"):
        assert part in str(error.value)


def luminance(colour: str) -> float:
    """The relative luminance of `#rrggbb`, 0 to 1, by WCAG 2."""
    levels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_have_the_contrast_that_wcag_asks_for(theme: int) -> None:
    style = (page.PARTS / "style.css").read_text(encoding="utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.S)[theme]
    colours = dict(re.findall(r"--(\w+): (#\w{6});", block))
    for name, least in {"text": 4.5, "soft": 4.5, "forward": 4.5, "backward": 4.5, "line": 3}.items():
        for behind in ("page", "panel"):
            low, high = sorted(luminance(colours[each]) for each in (name, behind))
            assert (high + 0.05) / (low + 0.05) >= least, (name, behind)
