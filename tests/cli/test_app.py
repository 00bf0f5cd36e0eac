"""The command line as a whole: help, version, completion, what the parser refuses."""

import subprocess
import sys
from pathlib import Path
from string import printable

import pytest
from PIL import Image

import birnn_cli
from birnn_cli.data.datasets import NAMES
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.version import __version__
from tests.conftest import child_environment, run_birnn


def test_a_bare_birnn_shows_help_with_examples_and_exits_with_2(tmp_path: Path) -> None:
    done = run_birnn(cwd=tmp_path)
    assert done.code == 2
    assert "birnn predict digit.png" in done.out
    for command in ("train", "eval", "predict"):
        assert command in done.out


def test_the_help_of_train_names_every_recipe_and_every_data_set(tmp_path: Path) -> None:
    help_text = run_birnn("train", "--help", cwd=tmp_path, COLUMNS="1000").out
    for name in (*RECIPES, *NAMES):
        assert f" {name}" in help_text, name


OLD_CONSOLES = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("console", OLD_CONSOLES, ids=["ascii", "cp1252", "C"])
def test_a_plain_character_stands_in_for_what_a_console_cannot_show(
    console: dict[str, str], tmp_path: Path
) -> None:
    Image.new("L", (40, 40), 255).save(tmp_path / "7\N{LOWER ONE EIGHTH BLOCK}.png")
    done = run_birnn("predict", ".", "nothing\N{RIGHTWARDS ARROW}", "-q", cwd=tmp_path, **console)
    assert done.code == 1
    assert done.out.splitlines()[0].endswith(": no ink") and "\\u2" not in done.out + done.err
    for command in ((), ("train",), ("eval",), ("predict",), ("info",), ("export",)):
        done = run_birnn(*command, "--help", cwd=tmp_path, **console)
        assert (done.code, done.err) == (0, "")
        assert set(done.out) <= {*printable} - {"\\"}
    done = run_birnn("predict", "7.png", "--shard", "\N{RIGHTWARDS ARROW}", cwd=tmp_path, **console)
    assert done.code == 2 and len(done.err.splitlines()) == 1


def test_the_version(tmp_path: Path) -> None:
    done = run_birnn("--version", cwd=tmp_path)
    assert (done.code, done.out) == (0, f"birnn {__version__}\n")


@pytest.mark.parametrize("columns", [60, 80, 100])
@pytest.mark.parametrize("command", [(), ("train",), ("eval",), ("predict",), ("info",), ("export",)])
def test_help_is_for_people_and_fits_its_terminal(
    command: tuple[str, ...], columns: int, tmp_path: Path
) -> None:
    done = run_birnn(*command, "--help", cwd=tmp_path, COLUMNS=str(columns))
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= columns
    for word in ("<bool>", "list[", "x<=", "<=x", "default: (", "\N{HORIZONTAL ELLIPSIS}"):
        assert word not in done.out
    if columns == 100:
        assert len(done.out.splitlines()) <= 75


def test_the_help_of_train_has_its_options_under_headings_and_loads_no_rich(tmp_path: Path) -> None:
    out = run_birnn("train", "--help", cwd=tmp_path).out
    headings = [line for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Data:", "Run:", "Network:", "Learning:", "Augmentation:"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "birnn_cli", "train", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "birnn_cli.cli.train" in done.stderr and "rich.markdown" not in done.stderr


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
        ("predict", "x.png", "--jobs", "many"),
        ("predict", "x.png", "--skip-existing"),
        ("train", "--samples", "many"),
        ("train", "--optimizer", "fastt"),
        ("train", "--seed", "x"),
        ("train", "--seed", -1),
        ("train", "--device", "gpu"),
        ("train", "--dropout", 0.1),
        ("train", "--mix-strokes", 0.6, "--mix-outliers", 0.6),
        ("eval", "-n", "x"),
        ("eval", "--split", "all", "-n", 3),
        ("eval", "--min-accuracy", "x"),
        ("export", "digits.pt", "--checkpoint", "nothing"),
        ("export", "digits", "--format", "pt"),
        ("nonsense",),
    ],
)
def test_what_the_parser_refuses_ends_with_2(arguments: tuple[object, ...], tmp_path: Path) -> None:
    done = run_birnn(*arguments, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1, done.err
    for word in ("Traceback", "Value error", "Input should", "is not a valid"):
        assert word not in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="a current folder cannot be deleted there")
@pytest.mark.parametrize(
    "command", [("train", "--dataset", "strokes"), ("eval",), ("predict", "/7.png"), ("info",)]
)
def test_in_a_folder_that_was_deleted_a_command_ends_with_one_line(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    run = f"cd gone && rmdir ../gone && exec {sys.executable} -m birnn_cli {' '.join(command)}"
    root = Path(birnn_cli.__file__).parents[1]
    environment = child_environment(tmp_path, PYTHONPATH=str(root))
    done = subprocess.run(
        ["sh", "-c", run], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"birnn {command[0]}: the current folder was deleted: change to one that exists (cd)\n"
    )
