"""`birnn info`: what it shows of a checkpoint, in words and as JSON."""

from dataclasses import asdict, replace
from pathlib import Path

from birnn_cli.runs import checkpoint
from tests.conftest import make_network, run_birnn


def test_info_shows_what_a_checkpoint_is(tmp_path: Path) -> None:
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


def test_info_shows_all_values_of_a_recipe_that_this_version_does_not_know(tmp_path: Path) -> None:
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
