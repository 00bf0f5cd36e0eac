"""Run folders on disk: made, locked, described, written to, found again. No torch, no data."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birnn_cli.errors import CheckpointError, ConfigError, RunError
from birnn_cli.files import write_atomically
from birnn_cli.runs import checkpoint
from birnn_cli.runs.checkpoint import Checkpoint, CheckpointMetadata
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.metrics import METRICS, read_metrics
from birnn_cli.text import percent

if TYPE_CHECKING:
    from filelock import FileLock

RUNS = Path("runs")
CONFIG, LOCK = "config.json", ".lock"
SHIPPED = Path(__file__).with_name("shipped.safetensors")


def refuse_existing_run(folder: Path) -> None:
    """Refuse a folder that holds a run, finished or not, or files of something else."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file, expected a folder for the run: name another --output")
    if (folder / CONFIG).exists():
        if not _has_begun(folder):
            return
        if _finished(folder):
            raise RunError(f"{folder} holds a finished run: name another --output, or move it away")
        raise RunError(
            f"{folder} holds an unfinished run: go on with it by `birnn train --resume --output "
            f"{folder}`, or name another --output"
        )
    for name in (checkpoint.FILE_NAME, METRICS):
        if (folder / name).exists():
            raise RunError(f"{folder} holds a {name} of something else: name another --output")


def _has_begun(folder: Path) -> bool:
    """Whether a run has kept anything: a folder with a description alone is where a start failed."""
    return (folder / checkpoint.FILE_NAME).exists() or bool(read_metrics(folder))


def lock_folder(folder: Path) -> "FileLock":
    """Keep other processes out of a run folder until the lock is released or this process ends."""
    from filelock import FileLock, Timeout  # it loads asyncio, which predicting need not wait for

    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            f"the run in {folder} is in use by another process: wait for it, or name another --output"
        ) from None
    return lock


def create(folder: Path | None, config: RunConfig) -> "tuple[Path, FileLock]":
    """Make a run folder, lock it, and describe the run in it before anything else is there.

    Without a folder it is the next free `runs/<recipe>-<number>`.

    Raises:
        RunError: The folder holds a run, is in use, or cannot be made.
    """
    try:
        if folder is None:
            folder = _make_next(config.recipe_name)
        folder.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(folder)
        refuse_existing_run(folder)
        _write_config(folder, {"started_at": datetime.now(UTC).isoformat(), **asdict(config)})
    except OSError as error:
        raise RunError(f"the run folder {folder or RUNS} cannot be made: {error.strerror}") from None
    return folder, lock


def _make_next(recipe_name: str) -> Path:
    """Make `runs/<recipe>-<number>` with a number above all others: no other process gets the same."""
    RUNS.mkdir(exist_ok=True)
    endings = [path.name.removeprefix(f"{recipe_name}-") for path in RUNS.glob(f"{recipe_name}-*")]
    number = max((int(ending) for ending in endings if ending.isdecimal()), default=0)
    while True:
        number += 1
        folder = RUNS / f"{recipe_name}-{number}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder


def lock_for_resuming(
    folder: Path | None, warn: Callable[[str], None]
) -> "tuple[Path, RunConfig, FileLock]":
    """Lock the run in a folder, or else the interrupted one under `runs/` that was begun last.

    Returns the folder, what is computed in it, and its lock. `warn` is called with a line for each
    folder under `runs/` that is passed over since its description cannot be understood.

    Raises:
        RunError: There is no such run, its description is damaged, or another process uses it.
    """
    if folder is not None:
        config, _ = read_config(folder)  # before a lock is left in a folder that holds no run
        return folder, config, lock_folder(folder)
    begun, in_use = [], []
    for each in _run_folders():
        try:
            config, started_at = read_config(each)
        except RunError as error:
            warn(f"passed over: {error}")
        else:
            begun.append((started_at, each, config))
    for _, each, config in sorted(begun, key=lambda run: run[:2], reverse=True):
        finished = _finished(each)
        if finished is not None and finished.step >= config.recipe.steps:
            continue
        try:
            lock = lock_folder(each)
        except RunError:
            in_use.append(str(each))
            continue
        if _has_begun(each):
            return each, config, lock
        lock.release()
    found = f"no interrupted run under {RUNS}/ to resume"
    if in_use:
        found += f", for other processes are at work in {', '.join(in_use)}"
    raise RunError(f"{found}: name one with --output, or leave --resume out to begin one")


def read_config(folder: Path) -> tuple[RunConfig, datetime]:
    """What is computed in a run folder, and when the run was begun: long ago, if that is not known.

    Raises:
        RunError: There is no run, or its description cannot be understood.
    """
    try:
        values: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        config = RunConfig.from_dict(values)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(
            f"no run in {folder}: expected a folder with {CONFIG}, as `birnn train` makes; "
            "leave --resume out to begin one"
        ) from None
    except OSError as error:
        raise RunError(f"{folder / CONFIG} cannot be read: {error.strerror}") from None
    except (ConfigError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{folder / CONFIG} cannot be understood ({error}): it is damaged, or of another version or "
            "program; begin another run"
        ) from None
    try:
        return config, datetime.fromisoformat(values["started_at"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError):
        return config, datetime.min.replace(tzinfo=UTC)


def update_config(folder: Path, config: RunConfig) -> None:
    """Describe what a resumed run computes from now on; when it was begun stays."""
    values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    _write_config(folder, {**values, **asdict(config)})


def _write_config(folder: Path, values: Mapping[str, Any]) -> None:
    write_atomically(folder / CONFIG, (json.dumps(values, indent=2) + "\n").encode())


def own_checkpoint(folder: Path, config: RunConfig) -> Checkpoint | None:
    """The checkpoint of the run in a folder, None before the first save.

    Raises:
        CheckpointError: It is damaged.
        RunError: It is of a run that computes something else than the folder's description says; only
            the device may be another one, and the samples more at a constant learning rate.
    """
    if not (folder / checkpoint.FILE_NAME).exists():
        return None
    own = checkpoint.load(folder / checkpoint.FILE_NAME)
    described, trained = ({**vars(each), **vars(each.recipe)} for each in (config, own.config))
    may_differ = {"recipe", "device"}
    if config.device != own.config.device:
        may_differ.add("precision")
    if config.recipe.continues(own.config.recipe.samples):
        may_differ.add("samples")
    for name, value in described.items():
        if name not in may_differ and value != trained[name]:
            raise RunError(
                f"{folder / CONFIG} says {name} {value!r}, and the checkpoint beside it "
                f"{trained[name]!r}: put it back, or begin another run with --init {folder}"
            )
    return own


def _finished(folder: Path) -> CheckpointMetadata | None:
    """The metadata of a run's checkpoint if the training came to its end and the file is sound."""
    try:
        metadata = checkpoint.load_metadata(folder / checkpoint.FILE_NAME)
    except CheckpointError:
        return None
    return metadata if metadata.complete else None


def _run_folders() -> Iterator[Path]:
    return (path.parent for path in sorted(RUNS.glob(f"*/{CONFIG}")))


def find_checkpoint(path: Path | None, note: Callable[[str], None]) -> tuple[Path, Checkpoint]:
    """The checkpoint that is named, else the newest complete run's under `runs/`, else what ships.

    `path` names a checkpoint file or a run folder. `note` is called with a line that says which one is
    taken by default and how good it is, and with a line for each that was passed over.

    Raises:
        CheckpointError: The one that is named, or the model that ships, is not there or damaged.
    """
    if path is not None:
        path = checkpoint_path(path)
        return path, checkpoint.load(path)
    runs = [(found.saved_at, folder) for folder in _run_folders() if (found := _finished(folder))]
    for _, folder in sorted(runs, reverse=True):
        try:
            loaded = checkpoint.load(folder / checkpoint.FILE_NAME)
        except CheckpointError as error:
            note(f"passed over: {error}")
            continue
        shipped, accuracy = checkpoint.load_metadata(SHIPPED), _accuracy(loaded.metadata)
        note(f"reading with {folder} ({accuracy}); the shipped model: {_accuracy(shipped)}")
        if _reads_worse(loaded.metadata, shipped):
            note("the shipped model reads these better: add --checkpoint shipped to read with it")
        return folder / checkpoint.FILE_NAME, loaded
    loaded = checkpoint.load(SHIPPED)
    note(f"reading with the model that ships ({_accuracy(loaded.metadata)})")
    return SHIPPED, loaded


def checkpoint_path(path: Path) -> Path:
    """The checkpoint file of a run folder, or of the word `shipped`; another path is the file itself."""
    if path == Path("shipped"):
        return SHIPPED
    return path / checkpoint.FILE_NAME if path.is_dir() else path


def _reads_worse(own: CheckpointMetadata, other: CheckpointMetadata) -> bool:
    """Whether a network was validated on the same images as another one, and was less accurate."""
    if own.validation is None or other.validation is None or own.config.dataset != other.config.dataset:
        return False
    is_same_set = own.validation["n"] == other.validation["n"]
    return is_same_set and own.validation["accuracy"] < other.validation["accuracy"]


def _accuracy(metadata: CheckpointMetadata) -> str:
    """The validation accuracy of a network in words."""
    name = Path(metadata.config.dataset).name
    if not metadata.validation:
        return f"{name}, never validated"
    return f"{percent(metadata.validation['accuracy'], 2)} on the validation images of {name}"
