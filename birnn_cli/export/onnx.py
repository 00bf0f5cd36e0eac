"""The network as an ONNX graph, for other programs to run: the same function as `network.forward`."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import ExportError
from birnn_cli.network import numpy_engine
from birnn_cli.network.architecture import NUM_ROWS, ROW_SIZE, Architecture
from birnn_cli.network.rows import PIXEL_SCALE, to_rows
from birnn_cli.optional import require
from birnn_cli.runs.checkpoint import Arrays, Checkpoint

Array = NDArray[Any]

# Old enough for the runtimes in use: ONNX Runtime has known both since 2022.
OPSET, IR_VERSION = 17, 8
CHECKED_BATCH_SIZES = (1, 2, 7)
# What two engines in single precision may differ by over 28 steps, in probability.
TOLERANCE = 1e-5


def to_onnx(network: Checkpoint) -> bytes:
    """A model for batches of any size, held to the NumPy engine in ONNX Runtime before it is given out.

    Its input is `pixels` (batch, 28, 28) uint8 in MNIST's convention; its outputs are `logits` and
    `probabilities` (batch, classes) float32. The metadata holds `classes` and `about` as JSON.

    Raises:
        ConfigError: onnx or onnxruntime is not installed.
        ExportError: The two engines disagree.
    """
    helper, runtime = require("onnx.helper", "onnx"), require("onnxruntime", "onnx")
    about = network.metadata
    graph = _Graph(helper)
    logits = _read(graph, about.config.architecture, network.weights)
    graph.add("Identity", [logits], "logits")
    graph.add("Softmax", [logits], "probabilities", axis=-1)

    def value(name: str, dtype: type, *shape: int | str) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(name, kind, ["batch", *shape])

    num_classes = about.config.architecture.num_classes
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "birnn",
            [value("pixels", np.uint8, NUM_ROWS, ROW_SIZE)],
            [value(name, np.float32, num_classes) for name in ("logits", "probabilities")],
            graph.constants,
        ),
        producer_name="birnn",
        producer_version=about.versions.get("birnn", ""),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    described = {"classes": about.config.classes, "about": about.to_dict()}
    helper.set_model_props(model, {name: json.dumps(what) for name, what in described.items()})
    content: bytes = model.SerializeToString()
    _check(runtime, content, network)
    return content


class _Graph:
    """Nodes and constants, under names that are counted."""

    def __init__(self, helper: Any) -> None:
        self._helper = helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Add a node; gives the name of its output."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, array: Array) -> str:
        """Add an array; gives its name."""
        name, kind = (
            f"constant_{len(self.constants)}",
            self._helper.np_dtype_to_tensor_dtype(array.dtype),
        )
        made = self._helper.make_tensor(name, kind, array.shape, array.tobytes(), raw=True)
        self.constants.append(made)
        return name

    def lstm(self, sequence: str, direction: str, parameters: list[Array]) -> tuple[str, str]:
        """Outputs (28, directions, batch, hidden) and final states (directions, batch, hidden)."""
        names = [f"{what}_{len(self.nodes)}" for what in ("outputs", "states")]
        inputs = [sequence, *map(self.constant, parameters)]
        settings = {"direction": direction, "hidden_size": parameters[1].shape[2]}
        self.nodes.append(self._helper.make_node("LSTM", inputs, names, names[0], **settings))
        return names[0], names[1]


def _read(graph: _Graph, architecture: Architecture, weights: Arrays) -> str:
    """From `pixels` to the logits (batch, num_classes): step by step what `forward` does."""
    hidden_size, top = architecture.hidden_size, architecture.num_layers - 1
    rows = graph.add("Cast", ["pixels"], to=1)  # TensorProto.FLOAT
    rows = graph.add("Mul", [rows, graph.constant(np.asarray(PIXEL_SCALE))])
    sequence = graph.add("Transpose", [rows], perm=[1, 0, 2])  # (28, batch, 28)
    if architecture.columns:
        columns = graph.add("Transpose", [rows], perm=[2, 0, 1])
        sequence = graph.add("Concat", [sequence, columns], axis=2)  # (28, batch, 56)
    for layer in range(architecture.num_layers):
        fw, bw = (_direction(architecture, weights, f"layers.{layer}.{name}") for name in ("fw", "bw"))
        if layer == top and architecture.readout == "last":
            last = graph.add("Gather", [sequence, graph.constant(np.array([NUM_ROWS - 1]))], axis=0)
            down, up = graph.lstm(sequence, "forward", fw)[1], graph.lstm(last, "reverse", bw)[1]
            states = graph.add("Concat", [down, up], axis=0)  # (2, batch, hidden)
            break
        both = [np.concatenate(pair) for pair in zip(fw, bw, strict=True)]
        outputs, states = graph.lstm(sequence, "bidirectional", both)
        outputs = graph.add("Transpose", [outputs], perm=[0, 2, 1, 3])
        shape = graph.constant(np.array([0, 0, 2 * hidden_size]))  # 0 keeps a size
        sequence = graph.add("Reshape", [outputs, shape])  # (28, batch, 2 hidden)
    if architecture.readout == "pool":
        pooled = [graph.add(f"Reduce{how}", [sequence], axes=[0], keepdims=0) for how in ("Mean", "Max")]
        features = graph.add("Concat", pooled, axis=1)
    else:
        states = graph.add("Transpose", [states], perm=[1, 0, 2])
        features = graph.add("Reshape", [states, graph.constant(np.array([0, 2 * hidden_size]))])
    head = [graph.constant(weights[f"head.{name}"]) for name in ("weight", "bias")]
    return graph.add("Gemm", [features, *head], transB=1)


def _direction(architecture: Architecture, weights: Arrays, name: str) -> list[Array]:
    """W (1, 4 hidden, inputs), R (1, 4 hidden, hidden) and B (1, 8 hidden), gates in ONNX's order."""
    hidden_size = architecture.hidden_size
    forget = np.zeros(4 * hidden_size, np.float32)
    forget[hidden_size : 2 * hidden_size] = architecture.forget_bias

    def iofc(array: Array) -> Array:
        i, f, g, o = np.split(array, 4)  # the candidate g is ONNX's c
        return np.concatenate([i, o, f, g])

    kernels = [iofc(weights[f"{name}.weight_{which}"])[None] for which in ("ih", "hh")]
    return [*kernels, np.concatenate([iofc(weights[f"{name}.bias"]), iofc(forget)])[None]]


def _check(runtime: Any, content: bytes, network: Checkpoint) -> None:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # in containers it cannot set its threads' affinity, and says so
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    for batch_size in CHECKED_BATCH_SIZES:
        random = np.random.default_rng(batch_size)
        pixels = random.integers(256, size=(batch_size, NUM_ROWS, ROW_SIZE), dtype=np.uint8)
        (found,) = session.run(["probabilities"], {"pixels": pixels})
        logits = numpy_engine.logits(network.config.architecture, network.weights, to_rows(pixels))
        off = float(np.abs(found - numpy_engine.probabilities(logits)).max())
        if not off <= TOLERANCE:
            raise ExportError(
                f"the ONNX model answers otherwise than birnn: probabilities differ by {off:.1g}, "
                f"expected at most {TOLERANCE:g}; try other versions of onnx and onnxruntime"
            )
