"""Where training computes: which device, how exactly, and a step that a GPU records and plays again."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor

from birnn_cli.errors import ConfigError

if TYPE_CHECKING:
    from birnn_cli.runs.recipes import Precision

Result = TypeVar("Result")
# Runs before a recording: in them the libraries make what a recording may not, such as workspaces.
WARM_UP_RUNS = 3


def resolve_device(wanted: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` means here.

    Raises:
        ConfigError: No such device, or none that works here.
    """
    if wanted == "auto":
        wanted = "cpu"
        if torch.cuda.is_available():
            wanted = "cuda"
        elif torch.backends.mps.is_available():
            wanted = "mps"
    try:
        device = torch.device(wanted)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", 0)
        torch.zeros(1, device=device)
    # torch raises a RuntimeError, or an AssertionError where it was built without CUDA.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"device {wanted!r} cannot be used here ({reason}): expected auto, cpu, cuda, cuda:N or mps"
        ) from None
    return device


def resolve_precision(wanted: "Precision", device: torch.device) -> "Precision":
    """What is faster than float32 on a device, where that is wanted and there is any.

    On a GPU that is TF32: under autocast cuDNN's LSTM would compute in float16, whatever is asked for,
    and lose gradients as small as these.
    """
    if wanted != "float32" and device.type == "cuda":
        return "tf32" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    if wanted != "float32" and device.type == "cpu":  # torch before 2.11 cannot say
        capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        if any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16")):
            return "bfloat16"
    return "float32"


def set_up(device: torch.device, *, tf32: bool, deterministic: bool) -> None:
    """Settle how this process computes, before anything is.

    Args:
        device: Where. Of several GPUs it becomes the current one, whose streams a recording takes.
        tf32: Whether cuDNN's LSTM computes in TF32, with 10 bits of float32's 23 in the fraction;
            torch would let it unless told.
        deterministic: Whether the same run shall give the same bits on the same device, even where that
            takes slower operations; one that cannot raises a RuntimeError.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.backends.cudnn.rnn.fp32_precision = "tf32" if tf32 else "ieee"  # type: ignore[attr-defined]
    if deterministic:
        # What cuBLAS, and cuDNN's LSTM on it, ask for; read when they are first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        # Only a help to find mistakes.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor from the CPU on a device; the GPU is not waited for."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # kept by torch until it is copied
    return tensor.to(device, non_blocking=True)


class Recorded(Generic[Result]):
    """A computation on a GPU, recorded as a CUDA graph: played again, it costs the CPU one call.

    Called as the function is. What it changes must be among `state`, and what differs between two calls
    among its arguments: a number that the recording saw stays as it was. The result is that of the
    last call: the next one writes it anew.

    Args:
        function: Takes lists of tensors on the current GPU; asks the GPU for no value.
        examples: Arguments of the shapes that it will always be called with.
        state: The tensors that it changes; they are left as they are.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        examples: Sequence[Sequence[Tensor]],
        state: Iterable[Tensor],
    ) -> None:
        self._arguments = [[tensor.clone() for tensor in argument] for argument in examples]
        before = [(tensor, tensor.detach().clone()) for tensor in state]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_RUNS):
                function(*self._arguments)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=aside):  # the stream that the libraries are ready for
            self._result = function(*self._arguments)
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
        torch.cuda.synchronize()

    def __call__(self, *arguments: Sequence[Tensor]) -> Result:
        """Compute anew, with arguments of the examples' shapes."""
        for own, given in zip(self._arguments, arguments, strict=True):
            for kept, value in zip(own, given, strict=True):
                kept.copy_(value, non_blocking=True)
        self._graph.replay()
        return self._result
