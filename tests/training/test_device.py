"""Where training computes: the device that is meant, and the precision that it has."""

import pytest
import torch

from birnn_cli.errors import ConfigError
from birnn_cli.training.device import resolve_device, resolve_precision

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_an_error() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    for name in ("gpu", "cuda:99", "", "cpu:x"):
        with pytest.raises(ConfigError, match="expected auto"):
            resolve_device(name)


def test_a_faster_precision_is_taken_where_the_device_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, expected in (({"avx512_bf16": True}, "bfloat16"), ({"avx512_bf16": False}, "float32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found, raising=False)
        assert resolve_precision("bfloat16", CPU) == resolve_precision("tf32", CPU) == expected
        assert resolve_precision("float32", CPU) == "float32"
    gpu = torch.device("cuda", 1)
    for capability, expected in (((7, 5), "float32"), ((8, 0), "tf32"), ((9, 0), "tf32")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", {gpu: capability}.get)
        assert resolve_precision("bfloat16", gpu) == resolve_precision("tf32", gpu) == expected
        assert resolve_precision("float32", gpu) == "float32"
