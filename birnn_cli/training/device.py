"""Where training computes, and how exactly."""

import os
import re

import torch
from torch import Tensor

from birnn_cli.errors import ConfigError, UsageError
from birnn_cli.runs.recipes import Precision


def resolve_device(wanted: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` means on this machine.

    Raises:
        UsageError: There is no such device anywhere.
        ConfigError: There is none that works here.
    """
    if wanted == "auto":
        wanted = "cpu"
        if torch.cuda.is_available():
            wanted = "cuda"
        elif torch.backends.mps.is_available():
            wanted = "mps"
    if not re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", wanted):
        raise UsageError(f"device is {wanted!r}, expected auto, cpu, cuda, cuda:N or mps")
    try:
        device = torch.device("cuda:0" if wanted == "cuda" else wanted)
        torch.zeros(1, device=device)
    # torch raises a RuntimeError, or an AssertionError where it was built without CUDA.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"device {wanted!r} cannot be used here ({reason}): expected auto, cpu, cuda, cuda:N or mps"
        ) from None
    return device


def resolve_precision(wanted: Precision, device: torch.device) -> Precision:
    """The precision that a device computes in when one is wanted: float32 where it has no faster one.

    On a GPU the faster one is TF32: under autocast cuDNN's LSTM would compute in float16, whatever is
    asked for, and lose gradients as small as these.
    """
    if wanted != "float32" and device.type == "cuda":
        return "tf32" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    if wanted != "float32" and device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        if any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16")):
            return "bfloat16"
    return "float32"


def configure_torch(device: torch.device, *, tf32: bool, deterministic: bool) -> None:
    """Set how torch computes in this process, before it does; a GPU becomes the current one.

    With `tf32`, as by torch's own default, cuDNN's LSTM computes in TF32, which has 10 of the 23 bits of
    float32's fraction. With `deterministic` the same run gives the same bits on the same device, even
    where that takes slower operations; an operation that cannot raises a RuntimeError.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.backends.cudnn.rnn.fp32_precision = "tf32" if tf32 else "ieee"  # type: ignore[attr-defined]
    if deterministic:
        # cuBLAS, and cuDNN's LSTM on it, read this when they are first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        # This only helps to find mistakes, and costs time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def copy_to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device, without waiting for the GPU."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # torch keeps it until it is copied
    return tensor.to(device, non_blocking=True)
