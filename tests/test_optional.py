"""Optional libraries."""

import pytest

from birnn_cli.errors import ConfigError
from birnn_cli.optional import require


def test_a_missing_library_is_named_with_the_extra_that_installs_it() -> None:
    with pytest.raises(ConfigError, match=r'no_such is not installed.*pip install "birnn-cli\[onnx\]"'):
        require("no_such.part", "onnx")
