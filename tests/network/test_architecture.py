"""The sizes of a network: shapes and number of its parameters."""

from itertools import pairwise

from birnn_cli.network.architecture import Architecture
from birnn_cli.network.torch_engine import BiRNN
from birnn_cli.runs.recipes import RECIPES


def test_the_notebooks_network_has_its_number_of_parameters() -> None:
    architecture = RECIPES["notebook"].architecture(10)
    assert architecture.num_parameters == 163_338
    weights = BiRNN(architecture).named_weights()
    assert sum(weight.numel() for weight in weights.values()) == 163_338


def test_shapes_follow_the_sizes() -> None:
    shapes = Architecture(hidden_size=5, num_layers=2, readout="pool", num_classes=3).parameter_shapes()
    assert shapes["layers.0.fw.weight_ih"] == (20, 28)
    assert shapes["layers.1.bw.weight_ih"] == (20, 10)
    assert shapes["layers.1.fw.weight_hh"] == (20, 5)
    assert shapes["head.weight"] == (3, 20)
    assert all(a != b for a, b in pairwise(shapes))
