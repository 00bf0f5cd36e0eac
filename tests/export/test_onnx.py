"""The ONNX model computes what birnn computes, and `birnn export` and `birnn info` say what they did."""

import numpy as np
import onnx
import onnxruntime
import pytest

from birnn_cli.data import strokes
from birnn_cli.errors import ExportError
from birnn_cli.export import onnx as onnx_export
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from tests.conftest import make_network


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("readout", ["last", "states", "pool"])
@pytest.mark.parametrize(("layers", "num_classes", "forget_bias"), [(1, 10, 1.0), (3, 4, -2.5)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_runtime_gives_the_probabilities_of_numpy_for_batches_of_any_size(
    columns: bool, readout: str, layers: int, num_classes: int, forget_bias: float
) -> None:
    values = {"columns": columns, "readout": readout, "layers": layers, "forget_bias": forget_bias}
    network = make_network(tuple(map(str, range(num_classes))), **values)
    content = onnx_export.to_onnx(network)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for batch_size in (1, 2, 7, 300):
        pixels = strokes.sample("test", batch_size)[0]
        logits, probabilities = session.run(None, {"pixels": pixels})
        expected = numpy_engine.logits(network.config.architecture, network.weights, to_rows(pixels))
        np.testing.assert_allclose(logits, expected, atol=2e-5)
        np.testing.assert_allclose(probabilities, numpy_engine.probabilities(expected), atol=1e-5)


def test_a_model_whose_probabilities_differ_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = numpy_engine.logits
    monkeypatch.setattr(numpy_engine, "logits", lambda *given: own(*given)[:, ::-1])
    with pytest.raises(ExportError, match="answers otherwise"):
        onnx_export.to_onnx(make_network())
