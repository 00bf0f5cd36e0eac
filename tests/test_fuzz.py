"""Files changed at random are read, or refused in words, and nothing else happens.

`BIRNN_FUZZ_CASES=5000 pytest tests/test_fuzz.py` tries so many of each kind; the default is 150.
"""

import hashlib
import io
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.errors import BirnnError, CheckpointError, ImageError
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader import read
from birnn_cli.runs import checkpoint, folders
from tests.conftest import TESTS

CASES = int(os.environ.get("BIRNN_FUZZ_CASES", "150"))
fuzz = settings(
    max_examples=CASES,
    deadline=20_000,  # milliseconds a case
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)

GOLDEN = (TESTS / "golden_v1.safetensors").read_bytes()
KINDS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")


def encode(kind: str) -> bytes:
    file = io.BytesIO()
    digit = strokes.sample("fuzz", 1)[0][0].repeat(3, 0).repeat(3, 1)
    Image.fromarray(255 - digit).save(file, kind)
    return file.getvalue()


PICTURES = {kind: encode(kind) for kind in KINDS}

# Where, as a fraction of the file; what is done there; with which bytes.
Edit = tuple[float, str, bytes]
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["replace", "insert", "delete", "cut", "repeat"]),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
)


def edited(content: bytes, edits: list[Edit]) -> bytes:
    for fraction, what, new in edits:
        at = int(fraction * len(content))
        before, after = content[:at], content[at:]
        content = {
            "replace": before + new + after[len(new) :],
            "insert": before + new + after,
            "delete": before + after[len(new) :],
            "cut": before,
            "repeat": before + after[: 50 * len(new)] + after,
        }[what]
    return content


def with_metadata(kind: str, metadata: bytes) -> bytes:
    """A good picture with EXIF of any bytes."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(PICTURES[kind])) as picture:
        picture.save(file, kind, exif=metadata)
    return file.getvalue()


# TIFF's header, an entry for the orientation of any type, number and value, and whatever follows.
ENTRIES = st.builds(
    lambda order, entry, rest: (b"MM\0*\0\0\0\x08\0\x01\x01\x12" if order else b"") + entry + rest,
    st.booleans(),
    st.binary(max_size=12),
    st.binary(max_size=30),
)


@fuzz
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP"]), metadata=ENTRIES)
def test_a_picture_with_any_metadata_is_read(kind: str, metadata: bytes) -> None:
    assert read.read_pixels(with_metadata(kind, b"Exif\0\0" + metadata)) is not None


def check_picture(content: bytes) -> None:
    try:
        found = read.read_pixels(content)
    except ImageError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert found is None or (found.shape == (28, 28) and found.dtype == np.uint8)


@fuzz
@given(kind=st.sampled_from(KINDS), edits=EDITS)
def test_an_edited_picture_is_read_or_refused_in_words(kind: str, edits: list[Edit]) -> None:
    check_picture(edited(PICTURES[kind], edits))


@fuzz
@given(
    size=st.tuples(st.integers(0, 2**32 - 1) | st.integers(1, 99), st.integers(1, 99)),
    form=st.tuples(*[st.integers(0, 17)] * 2, *[st.integers(0, 2)] * 3),
    content=st.binary(max_size=200),
    extra=st.sampled_from([b"tRNS", b"PLTE", b"gAMA", b"eXIf", b"acTL", b"fcTL", b"zTXt", b"iCCP"]),
)
def test_a_png_of_right_checksums_and_wrong_values_is_read_or_refused_in_words(
    size: tuple[int, int], form: tuple[int, ...], content: bytes, extra: bytes
) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    check_picture(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, *form))
        + chunk(extra, content[:50])
        + chunk(b"IDAT", zlib.compress(content * 40))
        + chunk(b"IEND", b"")
    )


@fuzz
@given(edits=EDITS)
def test_an_edited_checkpoint_is_refused_in_words(
    edits: list[Edit], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = edited(GOLDEN, edits)
    if content == GOLDEN:
        return
    path = tmp_path_factory.getbasetemp() / "edited.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"^[^\n]+$"):
        checkpoint.load(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values within a JSON value."""
    inner = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path] * bool(path) + [way for key, each in inner for way in places(each, (*path, key))]


def with_value(draw: Callable[[Any], Any], described: Any) -> Any:
    """A description with one of its values replaced by another, or taken out."""
    *way, last = draw(st.sampled_from(places(described)))
    within = described
    for key in way:
        within = within[key]
    if draw(st.booleans()) or not isinstance(within, dict):
        within[last] = draw(JSON)
    else:
        del within[last]
    return described


@fuzz
@given(data=st.data())
def test_a_checkpoint_of_right_digest_and_wrong_description_is_refused_or_reads_pictures(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    length = int.from_bytes(GOLDEN[:8], "little")
    header = json.loads(GOLDEN[8 : 8 + length])
    about = with_value(data.draw, json.loads(header["__metadata__"]["about"]))
    header["__metadata__"] |= {"about": json.dumps(about), "sha256": "0" * 64}
    text = json.dumps(header, separators=(",", ":")).encode()
    content = len(text).to_bytes(8, "little") + text + GOLDEN[8 + length :]
    digest = hashlib.sha256(content).hexdigest().encode()
    path = tmp_path_factory.getbasetemp() / "described.safetensors"
    path.write_bytes(content.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest))
    try:
        loaded = checkpoint.load(path)
    except CheckpointError as error:
        assert str(error) and "\n" not in str(error)
        return
    rows = to_rows(np.zeros((1, 28, 28), np.uint8))
    logits = numpy_engine.logits(loaded.config.architecture, loaded.weights, rows)
    assert logits.shape == (1, len(loaded.config.classes))


@fuzz
@given(data=st.data())
def test_a_run_of_a_wrong_description_is_refused_in_words(
    data: st.DataObject, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    described = json.loads((trained / folders.CONFIG).read_text())
    text = json.dumps(with_value(data.draw, described)).encode()
    if data.draw(st.booleans()):
        text = edited(text, data.draw(EDITS))
    folder = tmp_path_factory.getbasetemp() / "described"
    folder.mkdir(exist_ok=True)
    (folder / folders.CONFIG).write_bytes(text)
    try:
        folders.read_config(folder)
    except BirnnError as error:
        assert str(error) and "\n" not in str(error)
