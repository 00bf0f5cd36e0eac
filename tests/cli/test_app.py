"""The command line as a whole: help, version, completion, what the parser refuses."""

from pathlib import Path

import pytest
from PIL import Image

from birnn_cli.version import __version__
from tests.conftest import run_birnn


def test_a_bare_birnn_shows_help_with_examples_and_exits_with_2(tmp_path: Path) -> None:
    done = run_birnn(cwd=tmp_path)
    assert done.code == 2
    assert "birnn predict digit.png" in done.out
    for command in ("train", "eval", "predict"):
        assert command in done.out


def test_what_the_encoding_of_stdout_lacks_is_printed_as_an_escape(tmp_path: Path) -> None:
    """As on Windows, where what is not shown but kept in a file has an old encoding."""
    Image.new("L", (40, 40), 255).save(tmp_path / "7\N{LOWER ONE EIGHTH BLOCK}.png")
    arguments = ("predict", "7\N{LOWER ONE EIGHTH BLOCK}.png", "-q")
    done = run_birnn(*arguments, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (done.code, done.out, done.err) == (0, "7\\u2581.png: no ink\n", "")
    assert run_birnn("--help", cwd=tmp_path, PYTHONIOENCODING="ascii").code == 0


def test_the_version(tmp_path: Path) -> None:
    done = run_birnn("--version", cwd=tmp_path)
    assert (done.code, done.out) == (0, f"birnn {__version__}\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_names_the_commands(shell: str, tmp_path: Path) -> None:
    words = {"COMP_WORDS": "birnn ", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "birnn "}
    done = run_birnn(
        cwd=tmp_path,
        _BIRNN_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        **words,
    )
    assert "train" in done.out and "predict" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--no-such-option"),
        ("train", "--samples", 0),
        ("train", "--learning-rate", "nan"),
        ("train", "--recipe", "cake"),
        ("train", "--hidden-size", 10**6),
        ("train", "--save-every", 0),
        ("eval", "-n", -3),
        ("eval", "-n", 3, "--all"),
        ("eval", "--split", "train"),
        ("eval", "--min-accuracy", 2),
        ("predict",),
        ("predict", "x.png", "--top-k", 0),
        ("predict", "x.png", "--invert", "maybe"),
    ],
)
def test_what_the_parser_refuses_ends_with_2(arguments: tuple[object, ...], tmp_path: Path) -> None:
    done = run_birnn(*arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())
