"""The network as an ONNX model, for other programs to run: what `network/numpy_engine.py` computes."""

import json
from collections.abc import Sequence
from dataclasses import asdict
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
# The largest difference in probability that rounding to float32 explains over 28 steps.
TOLERANCE = 1e-5


def to_onnx(checkpoint: Checkpoint) -> bytes:
    """A checkpoint's ONNX model, once ONNX Runtime computes the same probabilities with it as NumPy.

    Its input is `pixels` (batch, 28, 28) uint8 in MNIST's convention, for batches of any size. Its
    outputs are `logits` and `probabilities`, each (batch, num_classes) float32. Its properties `classes`
    and `about`, which is the checkpoint's metadata, are JSON.

    Raises:
        ConfigError: onnx or onnxruntime is not installed.
        ExportError: The probabilities differ.
    """
    onnx, runtime = require("onnx", "onnx"), require("onnxruntime", "onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    metadata, architecture = checkpoint.metadata, checkpoint.config.architecture
    nodes, constants = _network(onnx, architecture, checkpoint.weights)
    value, shape = helper.make_tensor_value_info, ["batch", architecture.num_classes]
    inputs = [value("pixels", kinds.UINT8, ["batch", NUM_ROWS, ROW_SIZE])]
    outputs = [value(name, kinds.FLOAT, shape) for name in ("logits", "probabilities")]
    model = helper.make_model(
        helper.make_graph(nodes, "birnn", inputs, outputs, constants),
        producer_name="birnn",
        producer_version=metadata.versions.get("birnn", ""),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    properties = {"classes": metadata.config.classes, "about": asdict(metadata)}
    helper.set_model_props(model, {name: json.dumps(value) for name, value in properties.items()})
    content: bytes = model.SerializeToString()
    _check(runtime, content, checkpoint)
    return content


def _network(onnx: Any, architecture: Architecture, weights: Arrays) -> tuple[list[Any], list[Any]]:
    """The nodes from `pixels` to `logits` and `probabilities`, and the constants that they use."""
    nodes, constants = list[Any](), list[Any]()

    def add(kind: str, *inputs: str | Array, outputs: Sequence[str] = (), **settings: Any) -> str:
        """Add a node, and return its first output's name; arrays among its inputs become constants."""
        names = []
        for given in inputs:
            if not isinstance(given, str):
                constants.append(onnx.numpy_helper.from_array(given, f"constant_{len(constants)}"))
                given = constants[-1].name
            names.append(given)
        outputs = outputs or [f"{kind}_{len(nodes)}"]
        nodes.append(onnx.helper.make_node(kind, names, outputs, outputs[0], **settings))
        return outputs[0]

    def lstm(sequence: str, direction: str, parameters: list[Array]) -> tuple[str, str]:
        """Add an LSTM, and return the names of its hidden states: all of them, and the last.

        Their shapes are (28, directions, batch, hidden) and (directions, batch, hidden).
        """
        names = f"outputs_{len(nodes)}", f"states_{len(nodes)}"
        add("LSTM", sequence, *parameters, outputs=names, direction=direction, hidden_size=hidden_size)
        return names

    hidden_size, top = architecture.hidden_size, architecture.num_layers - 1
    rows = add("Cast", "pixels", to=onnx.TensorProto.FLOAT)
    rows = add("Mul", rows, np.asarray(PIXEL_SCALE))
    sequence = add("Transpose", rows, perm=[1, 0, 2])  # (28, batch, 28)
    if architecture.columns:
        columns = add("Transpose", rows, perm=[2, 0, 1])
        sequence = add("Concat", sequence, columns, axis=2)  # (28, batch, 56)
    for layer in range(architecture.num_layers):
        fw, bw = (_direction(architecture, weights, f"layers.{layer}.{name}") for name in ("fw", "bw"))
        if layer == top and architecture.readout == "last":
            last = add("Gather", sequence, np.array([NUM_ROWS - 1]), axis=0)
            ends = [lstm(sequence, "forward", fw)[1], lstm(last, "reverse", bw)[1]]
            states = add("Concat", *ends, axis=0)  # (2, batch, hidden)
            break
        both = [np.concatenate(pair) for pair in zip(fw, bw, strict=True)]
        outputs, states = lstm(sequence, "bidirectional", both)
        outputs = add("Transpose", outputs, perm=[0, 2, 1, 3])
        # (28, batch, 2 hidden): 0 keeps the size.
        sequence = add("Reshape", outputs, np.array([0, 0, 2 * hidden_size]))
    if architecture.readout == "pool":
        pooled = [add(name, sequence, axes=[0], keepdims=0) for name in ("ReduceMean", "ReduceMax")]
        features = add("Concat", *pooled, axis=1)
    else:
        states = add("Transpose", states, perm=[1, 0, 2])
        features = add("Reshape", states, np.array([0, 2 * hidden_size]))
    logits = add("Gemm", features, weights["head.weight"], weights["head.bias"], transB=1)
    add("Identity", logits, outputs=["logits"])
    add("Softmax", logits, outputs=["probabilities"], axis=-1)
    return nodes, constants


def _direction(architecture: Architecture, weights: Arrays, name: str) -> list[Array]:
    """The arrays W (1, 4 hidden, inputs), R (1, 4 hidden, hidden) and B (1, 8 hidden) of ONNX's LSTM."""

    def reorder(array: Array) -> Array:
        i, f, g, o = np.split(array, 4)
        return np.concatenate([i, o, f, g])[None]  # ONNX calls the candidate g "c"

    # The constant forget bias takes the place of ONNX's second bias.
    forget = np.zeros((4, architecture.hidden_size), np.float32)
    forget[1] = architecture.forget_bias
    biases = np.concatenate([reorder(weights[f"{name}.bias"]), reorder(forget.ravel())], axis=1)
    return [*(reorder(weights[f"{name}.weight_{kind}"]) for kind in ("ih", "hh")), biases]


def _check(runtime: Any, content: bytes, checkpoint: Checkpoint) -> None:
    """Compare the model's probabilities for random pixels with those of the NumPy engine."""
    options = runtime.SessionOptions()
    # With more threads it sets their affinity, and complains on stderr in containers that forbid it.
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    for batch_size in (1, 2, 7):
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
