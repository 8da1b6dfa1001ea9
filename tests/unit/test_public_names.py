"""The public names are what they say, and asking for help does not load PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest

import maskscope


@pytest.mark.parametrize("name", maskscope.__all__)
def test_every_public_name_is_ours_and_says_what_it_is(name: str) -> None:
    thing = getattr(maskscope, name)
    if name == "PRESETS":
        return  # a dictionary has the docstring of all dictionaries
    assert callable(thing)
    assert thing.__module__.startswith("maskscope.")
    assert len((thing.__doc__ or "").splitlines()[0]) > 10
    assert not thing.__doc__.startswith(f"{name}("), "the docstring that a dataclass makes of its fields says nothing"


def test_presets_are_the_released_sizes_of_both_versions_and_the_compact_one() -> None:
    sizes = ("tiny", "small", "base-plus", "large")
    released = {f"{version}-hiera-{size}" for version in ("sam2", "sam2.1") for size in sizes}
    assert set(maskscope.PRESETS) == released | {"compact"}
    assert len(maskscope.PRESETS) == 9
    assert all(isinstance(config, maskscope.SAM2Config) for config in maskscope.PRESETS.values())


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Traker'"):
        maskscope.Traker  # noqa: B018


def test_importing_the_package_does_not_load_pytorch() -> None:
    code = "import maskscope, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
