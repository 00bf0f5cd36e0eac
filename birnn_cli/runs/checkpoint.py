"""A checkpoint: one safetensors file that explains itself and proves that it is whole.

Layout: arrays `model.*` (the network, float32 or float16) and `training.*` (Adam's averages, only
where training may go on), and four texts in the header's metadata: `format`, `format_version`,
`sha256` (of the whole file, with its own 64 characters taken as zeros) and `about` (JSON).
"""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from birnn_cli.errors import CheckpointError, ConfigError
from birnn_cli.files import write_atomically
from birnn_cli.runs.recipes import RunConfig
from birnn_cli.version import __version__

FORMAT = "birnn"
FORMAT_VERSION = "1"
FILE_NAME = "checkpoint.safetensors"

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata:
    """What a checkpoint says of itself: what was trained, for how many steps, and how well it does.

    `samples` counts the images seen, `complete` says whether the training came to its end, `saved_at` is
    UTC, ISO 8601. `final` has the `loss` (nats per image) and `accuracy` (0 to 1) of the last display
    step, `validation` the `n`, `loss` and `accuracy` on the validation images; either may be None.
    `normalisation`: pixels times `scale` minus `mean`, over `std`, is what the network reads. `versions`
    are those of birnn, Python, NumPy and, where it trained, torch.
    """

    config: RunConfig
    step: int
    samples: int
    complete: bool
    saved_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    final: Mapping[str, float] | None = None
    validation: Mapping[str, float] | None = None
    normalisation: Mapping[str, float] = field(
        default_factory=lambda: {"scale": 1 / 255, "mean": 0.0, "std": 1.0}
    )
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "config": self.config.to_dict()}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "CheckpointMetadata":
        """The inverse of `to_dict`; values that a later version added are passed over."""
        known = {name: values[name] for name in CheckpointMetadata.__dataclass_fields__}
        return CheckpointMetadata(**{**known, "config": RunConfig.from_dict(known["config"])})


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
        "about": json.dumps(checkpoint.metadata.to_dict()),
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
        arrays = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
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
    metadata, architecture = checkpoint.metadata.to_dict(), checkpoint.config.architecture
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
        return hashlib.file_digest(
            file, lambda: hashlib.sha256(start)
        ).hexdigest()  # of start and the rest


def _sha256_field(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is no checkpoint of birnn, or a truncated one: expected a file that "
        "`birnn train` wrote; train again or name another with --checkpoint"
    )


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {reason}; train again or name another with --checkpoint")
