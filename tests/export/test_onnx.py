"""The ONNX model computes what birnn computes, and `birnn export` and `birnn info` say what they did."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from birnn_cli.data import strokes
from birnn_cli.errors import ConfigError, ExportError
from birnn_cli.export import onnx as onnx_export
from birnn_cli.export import page
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.optional import require
from birnn_cli.runs import checkpoint, folders
from tests.conftest import make_network, run_birnn


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("readout", ["last", "states", "pool"])
@pytest.mark.parametrize(("layers", "num_classes", "forget_bias"), [(1, 10, 1.0), (3, 4, -2.5)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_runtime_gives_the_probabilities_of_numpy_for_batches_of_any_size(
    columns: bool, readout: str, layers: int, num_classes: int, forget_bias: float
) -> None:
    values = {"columns": columns, "readout": readout, "layers": layers, "forget_bias": forget_bias}
    network = make_network(tuple(map(str, range(num_classes))), **values)
    content = onnx_export.to_onnx(network)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for batch_size in (1, 2, 7, 300):
        pixels = strokes.draw("test", batch_size)[0]
        logits, probabilities = session.run(None, {"pixels": pixels})
        expected = numpy_engine.logits(network.config.architecture, network.weights, to_rows(pixels))
        np.testing.assert_allclose(logits, expected, atol=2e-5)
        np.testing.assert_allclose(probabilities, numpy_engine.probabilities(expected), atol=1e-5)


def test_a_model_whose_probabilities_differ_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = numpy_engine.logits
    monkeypatch.setattr(numpy_engine, "logits", lambda *given: own(*given)[:, ::-1])
    with pytest.raises(ExportError, match="answers otherwise"):
        onnx_export.to_onnx(make_network())


def test_the_command_writes_a_model_that_holds_its_classes_and_metadata(tmp_path: Path) -> None:
    done = run_birnn("export", "digits.onnx", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    file = tmp_path / "digits.onnx"
    assert done.json == {
        "command": "export",
        "status": "ok",
        "checkpoint": str(folders.SHIPPED),
        "file": "digits.onnx",
        "format": "onnx",
        "bytes": file.stat().st_size,
    }
    properties = {each.key: json.loads(each.value) for each in onnx.load(file).metadata_props}
    assert properties["classes"] == list("0123456789")
    assert properties["about"]["config"]["recipe_name"] == "best"


@pytest.mark.parametrize("file_format", ["onnx", "html"])
def test_a_file_that_exists_is_kept_unless_forced(file_format: str, tmp_path: Path) -> None:
    file = tmp_path / f"digits.{file_format}"
    file.write_text("mine")
    done = run_birnn("export", file, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "--force" in done.err and file.read_text() == "mine"
    assert run_birnn("export", file, "--force", "-q", cwd=tmp_path).code == 0
    shipped = checkpoint.load(folders.SHIPPED)
    make = {"onnx": onnx_export.to_onnx, "html": page.to_html}[file_format]
    assert file.read_bytes() == make(shipped)


def test_a_file_of_another_ending_needs_a_format(tmp_path: Path) -> None:
    done = run_birnn("export", "digits.bin", cwd=tmp_path)
    assert done.code == 1 and "--format" in done.err
    assert not list(tmp_path.iterdir())
    done = run_birnn("export", "digits.bin", "--format", "html", cwd=tmp_path)
    assert done.out == f"digits.bin: html, {(tmp_path / 'digits.bin').stat().st_size:,} bytes\n"


def test_a_missing_library_is_named_with_the_extra_that_brings_it() -> None:
    with pytest.raises(ConfigError, match=r'no_such is not installed.*pip install "birnn-cli\[onnx\]"'):
        require("no_such.part", "onnx")


def test_info_describes_a_checkpoint(tmp_path: Path) -> None:
    network = make_network(("left", "right", "up"), hidden_size=6, readout="states")
    checkpoint.save(tmp_path / "own.safetensors", network)
    done = run_birnn("info", "--checkpoint", "own.safetensors", "--json", cwd=tmp_path)
    values = done.json
    # One layer, both directions: 4 gates of 6 units see 28 pixels and 6 units, and a bias; the head.
    assert values["parameters"] == 2 * 24 * (28 + 6 + 1) + 3 * 12 + 3
    assert values["network"]["readout"] == "states" and values["classes"] == ["left", "right", "up"]
    assert (values["verified"], values["resumable"]) == (True, False)
    assert values["sha256"] in (tmp_path / "own.safetensors").read_bytes().decode("latin-1")
    text = run_birnn("info", "--checkpoint", "own.safetensors", cwd=tmp_path).out
    assert values["sha256"] in text and "hidden_size 6" in text and "readout states" in text


def test_info_prints_all_values_of_a_recipe_that_this_version_does_not_know(tmp_path: Path) -> None:
    network = make_network(hidden_size=6)
    config = replace(network.config, recipe_name="later")  # type: ignore[arg-type]
    newer = replace(network, metadata=replace(network.metadata, config=config))
    checkpoint.save(tmp_path / "own.safetensors", newer)
    done = run_birnn("info", "--checkpoint", "own.safetensors", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    for name, value in asdict(config.recipe).items():
        assert f", {name} {value}" in done.out


def test_info_on_a_damaged_file_is_one_line_and_exit_1(tmp_path: Path) -> None:
    file = tmp_path / "own.safetensors"
    checkpoint.save(file, make_network())
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    done = run_birnn("info", "--checkpoint", file, cwd=tmp_path)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert "SHA-256" in done.err
