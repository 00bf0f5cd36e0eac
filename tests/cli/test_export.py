"""`birnn export`: its result, formats, and files that exist."""

import json
from pathlib import Path

import onnx
import pytest

from birnn_cli.export import onnx as onnx_export
from birnn_cli.export import page
from birnn_cli.runs import checkpoint, folders
from tests.conftest import run_birnn


def test_the_command_makes_a_model_that_tells_its_classes_and_itself(tmp_path: Path) -> None:
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
    told = {each.key: json.loads(each.value) for each in onnx.load(file).metadata_props}
    assert told["classes"] == list("0123456789")
    assert told["about"]["config"]["recipe_name"] == "best"


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


def test_the_checkpoint_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    file.write_bytes(folders.SHIPPED.read_bytes())
    done = run_birnn("export", file, "--checkpoint", file, "--force", cwd=tmp_path)
    assert done.code != 0 and str(file) in done.err
    assert file.read_bytes() == folders.SHIPPED.read_bytes()


def test_an_ending_that_says_nothing_needs_a_format(tmp_path: Path) -> None:
    done = run_birnn("export", "digits.bin", cwd=tmp_path)
    assert done.code == 2 and "--format" in done.err
    assert not list(tmp_path.iterdir())
    done = run_birnn("export", "digits.bin", "--format", "html", cwd=tmp_path)
    assert done.out == f"digits.bin: html, {(tmp_path / 'digits.bin').stat().st_size:,} bytes\n"
