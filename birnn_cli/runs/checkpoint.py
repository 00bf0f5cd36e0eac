"""A checkpoint: one safetensors file that explains itself and proves that it is whole.

Layout: arrays `model.*` (the network, float32 or float16) and `training.*` (the optimizer's averages,
only where training may go on), and four texts in the header's metadata: `format`, `format_version`,
`sha256` (of the whole file, with its own 64 characters taken as zeros) and `about` (JSON).
"""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from sys import float_info
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from birnn_cli.errors import CheckpointError, ConfigError
from birnn_cli.files import write_atomically
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.recipes import check_value
from birnn_cli.version import __version__

FORMAT = "birnn"
FORMAT_VERSION = "1"
FILE_NAME = "checkpoint.safetensors"
# More steps, and more images, than any training has.
MAX_STEPS = 10**12

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata:
    """What a checkpoint says of itself: what was trained, for how many steps, and how well it does.

    `samples` counts the images seen, `complete` says whether the training came to its end, `saved_at` is
    UTC, ISO 8601. `final` has the `loss` (nats per image) and `accuracy` (0 to 1) of the last display
    step, `validation` the `n`, `loss` and `accuracy` on the validation images; either may be None.
    `normalisation`: pixels times `scale` minus `mean`, over `std`, is what the network reads. `versions`
    are those of birnn, Python, NumPy and, where it trained, torch.

    Raises:
        ConfigError: A value is of the wrong kind or out of its range, or two contradict each other.
    """

    config: RunConfig
    step: int = field(metadata={"min": 0, "max": MAX_STEPS})
    samples: int = field(metadata={"min": 0, "max": MAX_STEPS})
    complete: bool
    saved_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    final: Mapping[str, float] | None = None
    validation: Mapping[str, float] | None = None
    normalisation: Mapping[str, float] = field(
        default_factory=lambda: {"scale": 1 / 255, "mean": 0.0, "std": 1.0}
    )
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("step", "samples", "complete", "saved_at"):
            check_value(CheckpointMetadata, name, getattr(self, name))
        steps, batch_size = self.config.recipe.steps, self.config.recipe.batch_size
        if self.step > steps or self.samples != self.step * batch_size:
            raise ConfigError(
                f"step is {self.step} and samples {self.samples}, expected at most {steps} steps of "
                f"{batch_size} images each"
            )
        for name in ("final", "validation"):
            if (scores := getattr(self, name)) is not None:
                _check_numbers(name, scores, ("loss", "accuracy"))
                if not 0 <= scores["accuracy"] <= 1:
                    raise ConfigError(f"{name} is {scores!r}, expected an accuracy of 0 to 1")
        _check_numbers("normalisation", self.normalisation, ("scale", "mean", "std"))
        texts = self.versions.values() if isinstance(self.versions, Mapping) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"versions is {self.versions!r}, expected texts by their names")

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "CheckpointMetadata":
        """The inverse of `dataclasses.asdict`; values that a later version added are passed over."""
        known = {name: values[name] for name in CheckpointMetadata.__dataclass_fields__}
        return CheckpointMetadata(**{**known, "config": RunConfig.from_dict(known["config"])})


def _check_numbers(name: str, values: object, keys: Sequence[str]) -> None:
    """Refuse what is no mapping to finite numbers, or lacks one of the keys."""
    if (
        not isinstance(values, Mapping)
        or not values.keys() >= set(keys)
        or not all(
            type(each) in (int, float) and abs(each) <= float_info.max for each in values.values()
        )
    ):
        raise ConfigError(f"{name} is {values!r}, expected numbers: {', '.join(keys)}")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network with what it says of itself.

    `weights` are the arrays of `Architecture.parameter_shapes`, `training` the optimizer's averages,
    empty where the training cannot go on; all are float32. `sha256` is that of the file that it was
    loaded from, empty where there is none.
    """

    metadata: CheckpointMetadata
    weights: Arrays
    training: Arrays
    sha256: str = ""

    @property
    def config(self) -> RunConfig:
        """What was trained, how, on what."""
        return self.metadata.config


def versions(**others: str) -> dict[str, str]:
    """Versions of what a checkpoint is made with."""
    return {"birnn": __version__, "python": platform.python_version(), "numpy": np.__version__, **others}


def save(path: Path, checkpoint: Checkpoint, dtype: type = np.float32) -> None:
    """Write a checkpoint, atomically; `np.float16` halves the file."""
    arrays: dict[str, NDArray[Any]] = {
        f"model.{name}": array.astype(dtype) for name, array in checkpoint.weights.items()
    }
    arrays |= {f"training.{name}": array for name, array in checkpoint.training.items()}
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "sha256": "0" * 64,
        "about": json.dumps(asdict(checkpoint.metadata)),
    }
    content = safetensors.save(arrays, metadata)
    digest = hashlib.sha256(content).hexdigest()
    write_atomically(path, content.replace(_sha256_field("0" * 64), _sha256_field(digest), 1))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint file and check all of it: format, SHA-256, version, shapes, finite numbers.

    Raises:
        CheckpointError: It is not there, cannot be read, or fails a check.
    """
    with _opened(path) as (file, sha256, metadata):
        # In pieces, and before the arrays: a file that is not what it says must not fill the memory.
        if _sha256_of(path, sha256) != sha256:
            with _opened(path) as (_, current, _):
                if current != sha256:  # a run has saved meanwhile
                    return load(path)
            raise _damaged(path, "its SHA-256 differs from the one that it states")
        names = list(file.keys())
        kinds = {file.get_slice(name).get_dtype() for name in names}
        if not kinds <= {"F32", "F16"}:
            raise _damaged(path, f"its arrays are {', '.join(sorted(kinds))}, expected F32 or F16")
        arrays = {name: file.get_tensor(name).astype(np.float32) for name in names}
    weights, training = (
        {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        for prefix in ("model.", "training.")
    )
    expected = metadata.config.architecture.parameter_shapes()
    if {name: array.shape for name, array in weights.items()} != expected:
        raise _damaged(path, "its arrays are not those of the network that it describes")
    if not all(np.isfinite(array).all() for array in [*weights.values(), *training.values()]):
        raise _damaged(path, "it holds numbers that are not finite")
    return Checkpoint(metadata=metadata, weights=weights, training=training, sha256=sha256)


def load_metadata(path: Path) -> CheckpointMetadata:
    """What a checkpoint file says of itself, from its header alone; the SHA-256 is not checked.

    Raises:
        CheckpointError: It is not there, cannot be read, or is no checkpoint.
    """
    with _opened(path) as (_, _, metadata):
        return metadata


def describe(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """All that is known of a checkpoint that was loaded from a file, as plain JSON values."""
    metadata, architecture = asdict(checkpoint.metadata), checkpoint.config.architecture
    config = metadata.pop("config")
    recipe_name, values = config.pop("recipe_name"), config.pop("recipe")
    return {
        "checkpoint": str(path),
        "bytes": path.stat().st_size,
        "format_version": FORMAT_VERSION,
        "sha256": checkpoint.sha256,
        "verified": True,  # or it would not have been loaded
        "resumable": bool(checkpoint.training),
        "network": asdict(architecture),
        "parameters": architecture.num_parameters,
        "recipe": recipe_name,
        **config,
        "values": values,
        **metadata,
    }


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, str, CheckpointMetadata]]:
    """A safetensors file of our format and version, the SHA-256 that it states, and its metadata."""
    if path.exists() and not path.is_file():  # a pipe, whose opening would wait for a writer
        raise CheckpointError(f"{path} is no plain file, expected a checkpoint or a run folder")
    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            yield file, header.get("sha256", ""), _read_header(path, header)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is not there: expected a checkpoint file or a run folder, as `birnn train` makes"
        ) from None
    except SafetensorError:
        raise _foreign(path) from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_header(path: Path, header: Mapping[str, str]) -> CheckpointMetadata:
    """The metadata in a header, once its format, its version and the length of its SHA-256 are right."""
    if header.get("format") != FORMAT:
        raise _foreign(path)
    if header.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {header.get('format_version')!r}, expected "
            f"{FORMAT_VERSION!r}: use the version of birnn that wrote it, or a newer one"
        )
    if len(header.get("sha256", "")) != 64:
        raise _damaged(path, "it states no SHA-256")
    try:
        return CheckpointMetadata.from_dict(json.loads(header["about"]))
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"its metadata cannot be understood ({error})") from None


def _sha256_of(path: Path, stated: str) -> str:
    """SHA-256 of a file, where the characters of the one that its header states are taken as zeros."""
    with path.open("rb") as file:
        start = file.read(8)
        start += file.read(int.from_bytes(start, "little"))  # the header's length, then the header
        start = start.replace(_sha256_field(stated), _sha256_field("0" * 64), 1)
        digest = hashlib.sha256(start)
        return hashlib.file_digest(file, lambda: digest).hexdigest()  # goes on with the rest of the file


def _sha256_field(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is no checkpoint of birnn, or a truncated one: expected a file that "
        "`birnn train` wrote; train again or name another with --checkpoint"
    )


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {reason}; train again or name another with --checkpoint")
