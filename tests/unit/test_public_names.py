"""The public names are what they say, and asking for help does not load PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest

import maskscope


@pytest.mark.parametrize("name", maskscope.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(maskscope, name).__doc__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Traker'"):
        maskscope.Traker  # noqa: B018


def test_importing_the_package_does_not_load_pytorch() -> None:
    code = "import maskscope, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
