"""Optional libraries."""

import pytest

from birnn_cli.errors import ConfigError
from birnn_cli.optional import require


def test_a_missing_library_is_named_with_the_packages_to_install() -> None:
    with pytest.raises(ConfigError, match=r"no_such is not installed.*pip install onnx onnxruntime$"):
        require("no_such.part", "onnx")
