"""Which module may import which, and what may not be loaded to answer quickly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import birnn_cli

PACKAGE = Path(birnn_cli.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)
# Who may import a library, wherever in the file; everyone else may not.
OWNERS = {
    "typer": {"cli", "options", "outcome"},
    "rich": {"console", "progress", "explain_view"},
    "matplotlib": {"explain_view", "report.figures"},
    "jinja2": {"report.page"},
    "PIL": {"data.files", "data.strokes", "data.strip"},
    "cv2": {"data.light", "data.ink", "data.images", "data.strip", "data.outliers"},
    "torchvision": {"data.download"},
    "torch": {
        "device",
        "network.birnn",
        "optimizers",
        "distributed",
        "training",
        "session",
        "data.rows",
        "data.augment",
        "data.batches",
    },
}
# From the bottom to the top: a module may import from lower layers, and from `errors` in its own.
LAYERS = [
    {"", "__init__", "errors", "text", "files", "interrupts", "parallel"},
    {"network.__init__", "data.__init__", "report.__init__", "extras", "network.architecture"},
    {"data.convention", "data.rows", "data.download", "data.idx", "data.files"},
    {
        "recipes",
        "device",
        "network.birnn",
        "network.forward",
        "data.strokes",
        "data.augment",
        "data.light",
    },
    {"network.checkpoint", "data.ink", "data.outliers", "data.batches", "optimizers", "distributed"},
    {"training", "data.images"},
    {"runs", "data.folders", "data.strip"},
    {"data.datasets"},
    {"session", "evaluation", "prediction", "explain", "output"},
    {"request", "onnx_graph", "page"},
    {"export", "tensorboard"},
    {"console", "report.findings"},
    {"progress", "explain_view", "report.figures"},
    {"report.sections"},
    {"report.page", "options", "outcome"},
    {"cli"},
    {"__main__"},
]


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


@pytest.mark.parametrize("module", MODULES)
def test_only_its_owner_imports_a_library(module: str) -> None:
    for library, owners in OWNERS.items():
        used = any(name.split(".")[0] == library for name in imports(module))
        assert not used or module in owners, f"{module} imports {library}"


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_down(module: str) -> None:
    height = {name: level for level, layer in enumerate(LAYERS) for name in layer}
    assert module in height, f"{module} has no layer"
    for name in imports(module):
        if name.split(".")[0] != "birnn_cli":
            continue
        inner = name.removeprefix("birnn_cli").removeprefix(".")
        target = inner if inner in height else inner.rpartition(".")[0]
        assert height[target] < height[module], f"{module} imports {target}"


def test_network_and_data_know_nothing_of_each_other() -> None:
    for module in MODULES:
        package = module.split(".")[0]
        if package in ("network", "data"):
            other = {"network": "birnn_cli.data", "data": "birnn_cli.network"}[package]
            own = {name for name in imports(module) if name.startswith(other)}
            assert not own, f"{module} imports {own}"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "{digit}"], ["info"]]
)
def test_no_heavy_library_is_loaded_to_help_or_to_read(arguments: list[str], tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    digit = tmp_path / "digit.png"
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(digit)
    program = (
        "import sys\nfrom birnn_cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code or 0\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'jinja2', 'onnx', 'tensorboard'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\nassert code == 0\n"
    )
    command = [word.format(digit=digit) for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
