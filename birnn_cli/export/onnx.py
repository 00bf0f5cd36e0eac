"""The network as an ONNX model, for other programs to run: what `network/numpy_engine.py` computes."""

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

# ONNX Runtime has supported both since 2022, so that older runtimes can load the model too.
OPSET, IR_VERSION = 17, 8
CHECKED_BATCH_SIZES = (1, 2, 7)
# The largest difference in probability that rounding to float32 explains over 28 steps.
TOLERANCE = 1e-5


def to_onnx(checkpoint: Checkpoint) -> bytes:
    """A checkpoint's ONNX model, once ONNX Runtime computes the same probabilities with it as NumPy.

    Its input is `pixels` (batch, 28, 28) uint8 in MNIST's convention, for batches of any size. Its
    outputs are `logits` and `probabilities`, each (batch, num_classes) float32. Its properties `classes`
    and `about`, which is the checkpoint's metadata, are JSON.

    Raises:
        ConfigError: onnx or onnxruntime is not installed.
        ExportError: The probabilities differ by more than TOLERANCE.
    """
    helper, runtime = require("onnx.helper", "onnx"), require("onnxruntime", "onnx")
    metadata, architecture = checkpoint.metadata, checkpoint.config.architecture
    graph = _Graph(helper)
    logits = _add_network(graph, architecture, checkpoint.weights)
    graph.add("Identity", [logits], "logits")
    graph.add("Softmax", [logits], "probabilities", axis=-1)

    def value(name: str, dtype: type, *shape: int | str) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(name, kind, ["batch", *shape])

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "birnn",
            [value("pixels", np.uint8, NUM_ROWS, ROW_SIZE)],
            [value(name, np.float32, architecture.num_classes) for name in ("logits", "probabilities")],
            graph.constants,
        ),
        producer_name="birnn",
        producer_version=metadata.versions.get("birnn", ""),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    properties = {"classes": metadata.config.classes, "about": metadata.to_dict()}
    helper.set_model_props(model, {name: json.dumps(value) for name, value in properties.items()})
    content: bytes = model.SerializeToString()
    _check(runtime, content, checkpoint)
    return content


class _Graph:
    """The nodes and constants of a graph; each gets a numbered name."""

    def __init__(self, helper: Any) -> None:
        self._helper = helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, array: Array) -> str:
        """Add an array, and return its name."""
        name = f"constant_{len(self.constants)}"
        kind = self._helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = self._helper.make_tensor(name, kind, array.shape, array.tobytes(), raw=True)
        self.constants.append(tensor)
        return name

    def lstm(self, sequence: str, direction: str, parameters: list[Array]) -> tuple[str, str]:
        """Add an LSTM, and return the names of its two outputs.

        These are its hidden states at every row (28, directions, batch, hidden_size) and those after the
        last step (directions, batch, hidden_size).
        """
        names = [f"{output}_{len(self.nodes)}" for output in ("outputs", "states")]
        inputs = [sequence, *map(self.constant, parameters)]
        settings = {"direction": direction, "hidden_size": parameters[1].shape[2]}
        self.nodes.append(self._helper.make_node("LSTM", inputs, names, names[0], **settings))
        return names[0], names[1]


def _add_network(graph: _Graph, architecture: Architecture, weights: Arrays) -> str:
    """Add all nodes from `pixels` to the logits (batch, num_classes), and return the logits' name.

    Step by step what `logits` in network/numpy_engine.py does.
    """
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
            forward, backward = (
                graph.lstm(sequence, "forward", fw)[1],
                graph.lstm(last, "reverse", bw)[1],
            )
            states = graph.add("Concat", [forward, backward], axis=0)  # (2, batch, hidden)
            break
        both = [np.concatenate(pair) for pair in zip(fw, bw, strict=True)]
        outputs, states = graph.lstm(sequence, "bidirectional", both)
        outputs = graph.add("Transpose", [outputs], perm=[0, 2, 1, 3])
        shape = graph.constant(np.array([0, 0, 2 * hidden_size]))  # 0 keeps the size
        sequence = graph.add("Reshape", [outputs, shape])  # (28, batch, 2 hidden)
    if architecture.readout == "pool":
        pooled = [
            graph.add(name, [sequence], axes=[0], keepdims=0) for name in ("ReduceMean", "ReduceMax")
        ]
        features = graph.add("Concat", pooled, axis=1)
    else:
        states = graph.add("Transpose", [states], perm=[1, 0, 2])
        features = graph.add("Reshape", [states, graph.constant(np.array([0, 2 * hidden_size]))])
    head = [graph.constant(weights[f"head.{name}"]) for name in ("weight", "bias")]
    return graph.add("Gemm", [features, *head], transB=1)


def _direction(architecture: Architecture, weights: Arrays, name: str) -> list[Array]:
    """The arrays W, R and B of ONNX's LSTM for one direction, its gates in ONNX's order.

    Their shapes are (1, 4 hidden, inputs), (1, 4 hidden, hidden) and (1, 8 hidden). The constant forget
    bias takes the place of ONNX's second bias.
    """
    hidden_size = architecture.hidden_size
    forget = np.zeros(4 * hidden_size, np.float32)
    forget[hidden_size : 2 * hidden_size] = architecture.forget_bias

    def reorder(array: Array) -> Array:
        i, f, g, o = np.split(array, 4)
        return np.concatenate([i, o, f, g])  # ONNX calls the candidate g "c"

    kernels = [reorder(weights[f"{name}.{kernel}"])[None] for kernel in ("weight_ih", "weight_hh")]
    return [*kernels, np.concatenate([reorder(weights[f"{name}.bias"]), reorder(forget)])[None]]


def _check(runtime: Any, content: bytes, checkpoint: Checkpoint) -> None:
    """Compare the model's probabilities for random pixels with those of the NumPy engine.

    Raises:
        ExportError: They differ by more than TOLERANCE.
    """
    options = runtime.SessionOptions()
    # With more threads it sets their affinity, and complains on stderr in containers that forbid it.
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    for batch_size in CHECKED_BATCH_SIZES:
        random = np.random.default_rng(batch_size)
        pixels = random.integers(256, size=(batch_size, NUM_ROWS, ROW_SIZE), dtype=np.uint8)
        (found,) = session.run(["probabilities"], {"pixels": pixels})
        logits = numpy_engine.logits(checkpoint.config.architecture, checkpoint.weights, to_rows(pixels))
        difference = float(np.abs(found - numpy_engine.probabilities(logits)).max())
        if not difference <= TOLERANCE:  # so that a NaN is refused too
            raise ExportError(
                "the ONNX model answers otherwise than birnn: "
                f"probabilities differ by {difference:.1g}, expected at most {TOLERANCE:g}; "
                "try other versions of onnx and onnxruntime"
            )
