"""Which room of the house may import which, who may import a library, what answers without torch."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import birnn_cli

PACKAGE = Path(birnn_cli.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)
# The only modules, or rooms, that may import a library, wherever in the file.
OWNERS = {
    "typer": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "PIL": {"reader", "data", "model"},
    "cv2": {"reader", "data"},
    "torchvision": {"data.download"},
    "torch": {"training", "network.torch_engine"},
}
# From the bottom to the top: a room may import from its own and from lower floors.
FLOORS = [
    {"version", "errors", "text", "files", "optional", "cores", "workers"},
    {"network"},
    {"reader"},
    {"data"},
    {"runs"},
    {"prediction", "digits", "numbers", "evaluation", "explanation", "training"},
    {"model"},
    {"__init__"},
    {"report", "export"},
    {"cli"},
    {"__main__"},
]


def room(module: str) -> str:
    """The folder that a module is in, or its own name."""
    return module.split(".")[0]


def imports(module: str) -> set[str]:
    """Everything that a module imports, by full name, imports for typing left out."""
    tree = ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_imports(module: str) -> set[str]:
    """The modules of this package that a module imports."""
    inner = {
        name.removeprefix("birnn_cli.") for name in imports(module) if name.startswith("birnn_cli.")
    }
    return {name if name in MODULES else name.rpartition(".")[0] or "__init__" for name in inner}


@pytest.mark.parametrize("module", MODULES)
def test_only_its_owner_imports_a_library(module: str) -> None:
    for library, owners in OWNERS.items():
        if any(room(name) == library for name in imports(module)):
            assert owners & {module, room(module)}, f"{module} imports {library}"


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_down(module: str) -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    for target in own_imports(module):
        assert floor[room(target)] <= floor[room(module)], f"{module} imports {target}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: own_imports(module) - {module} for module in MODULES}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises where there is a circle


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_one_subject_so_that_it_is_short(module: str) -> None:
    lines = (PACKAGE / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8").count("\n")
    assert lines <= 330, f"{module} has {lines} lines: what is its second subject?"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "{digit}"], ["info"]]
)
def test_no_heavy_library_is_loaded_to_help_or_to_read(arguments: list[str], tmp_path: Path) -> None:
    from PIL import Image

    from birnn_cli.data import strokes

    digit = tmp_path / "digit.png"  # in MNIST's convention: it needs no OpenCV
    Image.fromarray(strokes.sample("test", 1)[0][0]).save(digit)
    program = (
        "import sys\nfrom birnn_cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code or 0\n"
        "heavy = {'torch', 'torchvision', 'cv2', 'numpy.ma', 'matplotlib', 'jinja2', 'onnx'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\nassert code == 0\n"
    )
    command = [word.format(digit=digit) for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
