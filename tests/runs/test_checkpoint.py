"""The checkpoint: what is saved is what is read, and nothing damaged is."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from birnn_cli import files
from birnn_cli.errors import CheckpointError
from birnn_cli.network import numpy_engine
from birnn_cli.runs import checkpoint
from birnn_cli.runs.checkpoint import Checkpoint, CheckpointMetadata
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.folders import SHIPPED
from birnn_cli.runs.recipes import RECIPES
from tests.conftest import TESTS


def small(step: int = 3) -> Checkpoint:
    """A network of 2 units with every kind of metadata."""
    config = RunConfig(
        recipe_name="notebook",
        recipe=replace(RECIPES["notebook"], hidden_size=2),
        dataset="strokes",
        classes=("a", "β"),
        reader="digit",
        seed=7,
        device="cpu",
    )
    random = np.random.default_rng(step)
    shapes = config.architecture.parameter_shapes()
    about = CheckpointMetadata(
        config=config,
        step=step,
        samples=128 * step,
        complete=True,
        final={"loss": 0.5, "accuracy": 0.75},
        validation={"n": 10, "loss": 0.25, "accuracy": 0.9},
        versions=checkpoint.versions(),
    )
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return Checkpoint(
        metadata=about, weights=weights, training={"head.bias.exp_avg": weights["head.bias"]}
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small checkpoint's file."""
    checkpoint.save(tmp_path / "small.safetensors", small())
    return tmp_path / "small.safetensors"


def test_what_is_saved_is_what_is_read(path: Path) -> None:
    saved, read = small(), checkpoint.load(path)
    assert replace(read.metadata, saved_at="") == replace(saved.metadata, saved_at="")
    for mine, theirs in ((saved.weights, read.weights), (saved.training, read.training)):
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert checkpoint.load_metadata(path) == read.metadata


def test_it_is_plain_safetensors_with_model_and_training_arrays(path: Path) -> None:
    names = load_file(path).keys()
    assert "model.layers.0.fw.weight_ih" in names
    assert "training.head.bias.exp_avg" in names


def test_the_digest_is_that_of_the_file_with_its_own_characters_zeroed(path: Path) -> None:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    digest = header["__metadata__"]["sha256"]
    assert hashlib.sha256(content.replace(digest.encode(), b"0" * 64)).hexdigest() == digest


def test_half_precision_halves_the_file_and_reads_as_float32(path: Path, tmp_path: Path) -> None:
    bare = replace(small(), training={})
    checkpoint.save(tmp_path / "half", bare, np.float16)
    read = checkpoint.load(tmp_path / "half")
    assert not read.training
    for name, array in bare.weights.items():
        assert read.weights[name].dtype == np.float32
        np.testing.assert_allclose(read.weights[name], array, rtol=1e-3)


def test_every_truncation_is_refused(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    cut = tmp_path / "cut"
    for length in {*range(0, 200), *range(200, len(content), 37), len(content) - 1}:
        cut.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="cut"):
            checkpoint.load(cut)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_every_flipped_bit_is_refused(path: Path, data: st.DataObject) -> None:
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, 8 * len(content) - 1))
    content[place // 8] ^= 1 << place % 8
    flipped = path.with_name("flipped")
    flipped.write_bytes(content)
    with pytest.raises(CheckpointError, match="flipped"):
        checkpoint.load(flipped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "no checkpoint"),
        ({"format_version": "2"}, "format version '2'"),
        ({"sha256": "no"}, "no SHA-256"),
        ({"about": "{}"}, "metadata"),
    ],
)
def test_a_sound_file_of_another_kind_is_refused(
    change: dict[str, str], message: str, tmp_path: Path
) -> None:
    metadata = {"format": "birnn", "format_version": "1", "sha256": "0" * 64, "about": "{}"} | change
    write_signed(tmp_path / "other", {"x": np.zeros(1, np.float32)}, metadata)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(tmp_path / "other")


@pytest.mark.parametrize(
    "values",
    [
        *({"hidden_size": 10**9}, {"layers": 10**9}, {"readout": "no"}, {"layers": 2}),
        *({"forget_bias": 3.5e38}, {"forget_bias": float("nan")}),  # found by fuzzing
    ],
)
def test_a_config_that_its_arrays_do_not_bear_out_is_refused(
    values: dict[str, object], tmp_path: Path
) -> None:
    about = asdict(small().metadata)
    about["config"]["recipe"] |= values
    metadata = {"format": "birnn", "format_version": "1", "sha256": "0" * 64, "about": json.dumps(about)}
    arrays = {f"model.{name}": array for name, array in small().weights.items()}
    write_signed(tmp_path / "odd", arrays, metadata)
    with pytest.raises(CheckpointError, match="odd is damaged"):
        checkpoint.load(tmp_path / "odd")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            ("step", -1),
            ("step", 1.5),
            ("step", "3"),
            ("step", True),
            ("step", 10**9),
            ("step", 10**400),
        ],
        *[("samples", 3), ("samples", None), ("complete", 1), ("complete", "yes"), ("saved_at", 5)],
        *[("final", 5), ("final", {"loss": 1.0}), ("final", {"loss": float("nan"), "accuracy": 1.0})],
        *[("validation", {"loss": 1, "accuracy": "high"}), ("validation", {"loss": 1, "accuracy": 1.5})],
        *[("validation", {"loss": 10**400, "accuracy": 1}), ("versions", ["2"]), ("versions", {"a": 2})],
        *[("normalisation", {}), ("normalisation", None), ("batch_size", 64), ("init", 7)],
        *[("classes", "ab"), ("classes", ["a", "a"]), ("classes", [1, 2]), ("recipe_name", None)],
    ],
)
def test_metadata_of_a_wrong_value_is_refused_in_one_line(
    name: str, value: object, tmp_path: Path
) -> None:
    about = asdict(small().metadata)
    (
        about
        if name in about
        else about["config"]
        if name in about["config"]
        else about["config"]["recipe"]
    )[name] = value
    metadata = {"format": "birnn", "format_version": "1", "sha256": "0" * 64, "about": json.dumps(about)}
    arrays = {f"model.{name}": array for name, array in small().weights.items()}
    write_signed(tmp_path / "odd", arrays, metadata)
    for read in (checkpoint.load, checkpoint.load_metadata):
        with pytest.raises(
            CheckpointError, match=f"odd is damaged: its metadata .*({name}|64 images)"
        ) as refused:
            read(tmp_path / "odd")
        assert "\n" not in str(refused.value)


def test_metadata_of_endless_brackets_are_refused(tmp_path: Path) -> None:
    metadata = {"format": "birnn", "format_version": "1", "sha256": "0" * 64, "about": "[" * 100_000}
    write_signed(tmp_path / "odd", {"x": np.zeros(1, np.float32)}, metadata)
    with pytest.raises(CheckpointError, match="odd is damaged"):
        checkpoint.load(tmp_path / "odd")


@pytest.mark.parametrize("kind", ["BF16", "I16"])
def test_arrays_of_another_kind_are_refused(kind: str, tmp_path: Path) -> None:
    """Of bfloat16 NumPy knows nothing."""
    about = json.dumps(asdict(small().metadata))
    metadata = {"format": "birnn", "format_version": "1", "sha256": "0" * 64, "about": about}
    content = save({"model.head.bias": np.zeros(2, np.float16)}, metadata)
    content = content[:8] + content[8:].replace(b'"F16"', f'"{kind}"'.encode().ljust(5))
    length = int.from_bytes(content[:8], "little") + len(kind) - 3
    content = length.to_bytes(8, "little") + content[8:]
    digest = hashlib.sha256(content).hexdigest().encode()
    (tmp_path / "odd").write_bytes(content.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest))
    with pytest.raises(
        CheckpointError, match=f"odd is damaged: its arrays are {kind}, expected F32 or F16"
    ):
        checkpoint.load(tmp_path / "odd")


def header(length: int, text: bytes) -> bytes:
    return length.to_bytes(8, "little") + text


TEXTS = '{"__metadata__":{"format":"birnn","format_version":"1","sha256":"%s"},' % ("0" * 64)
HOSTILE = {
    "a header of gigabytes": header(1 << 40, b"{"),
    "a header longer than any of ours": header(1 << 21, b" " * (1 << 21)),
    "a header of deep brackets": header(100_000, b"[" * 100_000),
    "offsets that are no numbers": header(
        len(TEXTS) + 29, (TEXTS + '"x":{"data_offsets":[0,"1"]}}').encode()
    ),
    "a tensor of a terabyte": header(
        len(TEXTS) + 36, (TEXTS + '"x":{"data_offsets":[0,109951162777]}}').encode()
    ),
    "zeros": bytes(1000),
    "a pickle": pickle.dumps(os.system),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(what: str, tmp_path: Path) -> None:
    (tmp_path / "hostile").write_bytes(HOSTILE[what])
    with pytest.raises(CheckpointError, match="hostile"):
        checkpoint.load(tmp_path / "hostile")


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(CheckpointError, match="no plain file"):
            checkpoint.load(path)


@pytest.mark.parametrize("move", [-4, 4])
def test_overlapping_or_spread_out_arrays_are_refused(move: int, path: Path) -> None:
    """The digest is right, the offsets of one array are not."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    described = json.loads(content[8 : 8 + length])
    described["__metadata__"]["sha256"] = "0" * 64
    first, *_ = sorted(
        (name for name in described if name != "__metadata__"),
        key=lambda name: described[name]["data_offsets"],
    )[3:]
    described[first]["data_offsets"] = [offset + move for offset in described[first]["data_offsets"]]
    text = json.dumps(described, separators=(",", ":")).encode()
    forged = len(text).to_bytes(8, "little") + text + content[8 + length :]
    digest = hashlib.sha256(forged).hexdigest().encode()
    path.write_bytes(forged.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest))
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.load(path)


# Runs a command and prints the most memory that it used, in KiB. A process of its own: until a child has
# replaced itself by the command it counts its parent's memory as its own, and this one has torch in it.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def test_a_large_file_of_a_false_digest_is_refused_in_little_memory(tmp_path: Path) -> None:
    """Half a gigabyte of holes behind a header that describes it."""
    size = 1 << 29
    text = f'{TEXTS}"x":{{"dtype":"F32","shape":[{size // 4}],"data_offsets":[0,{size}]}}}}'
    about = json.dumps(json.dumps(asdict(small().metadata)))
    text = text.replace('"sha256"', f'"about":{about},"sha256"', 1)
    with (tmp_path / "large").open("wb") as file:
        file.write(header(len(text.encode()), text.encode()))
        file.truncate(8 + len(text.encode()) + size)
    (tmp_path / "x.png").write_bytes(b"")
    command = [sys.executable, "-m", "birnn_cli", "predict", "x.png", "--checkpoint", "large"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "SHA-256 differs" in done.stderr
    assert int(done.stdout) < 200 * 1024


def write_signed(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """A safetensors file with a right digest, whatever else it says."""
    content = save(arrays, metadata)
    digest = hashlib.sha256(content).hexdigest().encode()
    path.write_bytes(content.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest))


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    bad = small()
    bad.weights["head.bias"][0] = np.nan
    checkpoint.save(tmp_path / "nan", bad)
    with pytest.raises(CheckpointError, match="not finite"):
        checkpoint.load(tmp_path / "nan")


def test_saving_again_replaces_the_file_and_keeps_normal_permissions(path: Path) -> None:
    checkpoint.save(path, small(9))
    assert checkpoint.load(path).metadata.step == 9
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(
    path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os if broken == "fsync" else Path, broken, fail)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, small(9))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_shipped_model_is_small_whole_and_bare() -> None:
    shipped = checkpoint.load(SHIPPED)
    assert SHIPPED.stat().st_size < 3_000_000
    assert shipped.metadata.complete
    assert not shipped.training
    assert shipped.config.classes == tuple("0123456789")


def test_the_first_checkpoint_of_this_format_loads_for_ever() -> None:
    """Written by version 0.1.0 before recipes had all of today's values; its logits were torch's."""
    golden = checkpoint.load(TESTS / "golden_v1.safetensors")
    about = golden.metadata
    assert (about.step, about.samples, about.complete) == (23, 2944, True)
    assert about.config.recipe == replace(
        RECIPES["notebook"], hidden_size=4, layers=2, dropout=0.1, readout="pool", samples=3000
    )
    assert about.versions["torch"] == "2.14.1+cu130" and len(golden.training) == 28
    rows = (np.arange(28 * 28, dtype=np.float32).reshape(1, 28, 28) % 29) / 28
    logits = numpy_engine.logits(about.config.architecture, golden.weights, rows)
    expected = [
        -0.55886,
        0.04713,
        -2.02118,
        0.76749,
        0.59582,
        -0.19523,
        -0.32018,
        0.8796,
        0.6379,
        -2.53649,
    ]
    np.testing.assert_allclose(logits[0], expected, atol=1e-5)


def test_a_file_that_is_replaced_while_it_is_read_is_read_anew_and_described_as_it_was_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a run that saves: the header is the old file's, the bytes that are hashed the new one's."""
    newer = replace(checkpoint.load(path), metadata=small(99).metadata)
    own, calls = checkpoint._sha256_of, []

    def replaced_first(file: Path, stated: str) -> str:
        if not calls:
            checkpoint.save(path, newer)
        calls.append(file)
        return own(file, stated)

    monkeypatch.setattr(checkpoint, "_sha256_of", replaced_first)
    loaded = checkpoint.load(path)
    assert loaded.metadata.step == 99 and len(calls) == 2
    described = checkpoint.describe(path, loaded)["sha256"]
    checkpoint.save(path, small())  # replaced once more: what was read is what is described
    assert checkpoint.describe(path, loaded)["sha256"] == described
