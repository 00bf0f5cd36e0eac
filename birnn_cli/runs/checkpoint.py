"""A checkpoint: one safetensors file that explains itself and proves that it is whole.

Layout: arrays `model.*` (the network, float32 or float16) and `training.*` (Adam's averages, only
where training may go on), and four texts in the header's metadata: `format`, `format_version`,
`sha256` (of the whole file, with its own 64 characters taken as zeros) and `about` (JSON).
"""

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from birnn_cli.errors import CheckpointError
from birnn_cli.files import write_atomically
from birnn_cli.runs.recipes import RunConfig
from birnn_cli.version import __version__

FORMAT = "birnn"
FORMAT_VERSION = "1"
FILE_NAME = "checkpoint.safetensors"

# No header of ours comes near it; it keeps a hostile one from being read at all.
MAX_HEADER_BYTES = 1 << 20
_OWN_DIGEST = re.compile(rb'"sha256":"[^"]*"')

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata:
    """What a checkpoint says of itself.

    Attributes:
        config: What was trained, how, on what.
        step: Steps done.
        samples: Images seen.
        complete: Whether the training came to its end.
        saved_at: UTC, ISO 8601.
        final: `loss` (nats an image) and `accuracy` (0 to 1) of the last display step, or None.
        validation: `n`, `loss`, `accuracy` on the images held out, or None.
        normalisation: Pixels times `scale` minus `mean`, over `std`, is what the network reads.
        versions: Of birnn, Python, NumPy and, where it trained, torch.
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

    Attributes:
        metadata: What the file says of itself.
        weights: Arrays of `Architecture.parameter_shapes`, float32.
        training: Adam's averages, float32; empty where the training cannot go on.
    """

    metadata: CheckpointMetadata
    weights: Arrays
    training: Arrays

    @property
    def config(self) -> RunConfig:
        """What was trained, how, on what."""
        return self.metadata.config


def versions(**others: str) -> dict[str, str]:
    """Versions of what a checkpoint is made with."""
    return {
        "birnn": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **others,
    }


def save(path: Path, checkpoint: Checkpoint, dtype: type = np.float32) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: Where to.
        checkpoint: What.
        dtype: `np.float32`, or `np.float16` to halve the file.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
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
    write_atomically(path, content.replace(_digest_field("0" * 64), _digest_field(digest), 1))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint and check all of it: form, digest, version, shapes, finite numbers.

    Args:
        path: A checkpoint file.

    Raises:
        CheckpointError: It is not there, cannot be read, or fails a check.
    """
    with _open(path) as file:
        metadata = _read_metadata(path, file)
        about = _about(path, metadata)
        # By pieces: a file that is not what it says must not fill the memory first.
        if _digest(file) != metadata["sha256"]:
            raise _damaged(path, "its SHA-256 differs from the one that it states")
        file.seek(0)
        try:
            arrays = safetensors.load(file.read())
        except (SafetensorError, KeyError, ValueError) as error:
            raise _damaged(path, str(error)) from None
    weights, training = (
        {
            name.removeprefix(prefix): array.astype(np.float32)
            for name, array in arrays.items()
            if name.startswith(prefix)
        }
        for prefix in ("model.", "training.")
    )
    expected = about.config.architecture.parameter_shapes()
    if {name: array.shape for name, array in weights.items()} != expected:
        raise _damaged(path, "its arrays are not those of the network that it describes")
    if not all(np.isfinite(array).all() for array in [*weights.values(), *training.values()]):
        raise _damaged(path, "it holds numbers that are not finite")
    return Checkpoint(metadata=about, weights=weights, training=training)


def describe(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """All that is known of a checkpoint that was loaded from a file, as plain JSON values."""
    with _open(path) as file:
        digest = _read_metadata(path, file)["sha256"]
    about, config = checkpoint.metadata, checkpoint.config
    return {
        "checkpoint": str(path),
        "bytes": path.stat().st_size,
        "format_version": FORMAT_VERSION,
        "sha256": digest,
        "verified": True,  # or it would not have been loaded
        "resumable": bool(checkpoint.training),
        "network": asdict(config.architecture),
        "parameters": config.architecture.num_parameters,
        "recipe": config.recipe_name,
        **{
            name: value
            for name, value in config.to_dict().items()
            if name not in ("recipe", "recipe_name")
        },
        "values": asdict(config.recipe),
        **{name: value for name, value in about.to_dict().items() if name != "config"},
    }


def load_metadata(path: Path) -> CheckpointMetadata:
    """What a checkpoint file says of itself, from its header alone; the digest is not checked.

    Raises:
        CheckpointError: It is not there, cannot be read, or is none.
    """
    with _open(path) as file:
        return _about(path, _read_metadata(path, file))


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """A plain file to read from; whatever goes wrong with it is a CheckpointError."""
    try:
        if path.exists() and not path.is_file():  # a pipe, whose opening would wait for a writer
            raise CheckpointError(f"{path} is no plain file, expected a checkpoint or a run folder")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is not there: expected a checkpoint file or a run folder, as `birnn train` makes"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None


def _read_metadata(path: Path, file: BinaryIO) -> Mapping[str, str]:
    """The texts in the header: of this format, of this version, of a file of the right size."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    try:
        if not 2 <= length <= min(size - 8, MAX_HEADER_BYTES):
            raise ValueError
        header = json.loads(file.read(length))
        metadata = header.pop("__metadata__")
        if metadata["format"] != FORMAT:
            raise ValueError
        expected = 8 + length + max(entry["data_offsets"][1] for entry in header.values())
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise CheckpointError(
            f"{path} is no checkpoint of birnn, or a truncated one: expected a file that "
            "`birnn train` wrote; train again or name another with --checkpoint"
        ) from None
    if metadata.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {metadata.get('format_version')!r}, expected "
            f"{FORMAT_VERSION!r}: use the version of birnn that wrote it, or a newer one"
        )
    if not isinstance(metadata.get("sha256"), str) or len(metadata["sha256"]) != 64:
        raise _damaged(path, "it states no SHA-256")
    if size != expected:
        raise _damaged(path, f"it has {size} bytes, expected {expected}")
    return metadata  # type: ignore[no-any-return]


def _digest(file: BinaryIO) -> str:
    """SHA-256 of a file with the characters of its own digest taken as zeros."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    file.seek(0)
    start = file.read(8 + length)
    digest = hashlib.sha256(_OWN_DIGEST.sub(_digest_field("0" * 64), start, 1))
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _about(path: Path, metadata: Mapping[str, str]) -> CheckpointMetadata:
    try:
        return CheckpointMetadata.from_dict(json.loads(metadata["about"]))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"its description cannot be understood ({error})") from None


def _digest_field(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {reason}; train again or name another with --checkpoint")
