"""Families by name: ours without importing the others, those of other packages, and names that do not exist."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from tiny_families import CUT, TINT, Cut, Tint, use_tiny_families

from maskscope import __version__
from maskscope.errors import SettingError
from maskscope.transforms import registry
from maskscope.transforms.registry import BUILT_IN, families, family, family_names, origin


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    registry._others.cache_clear()
    yield
    registry._others.cache_clear()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_families(monkeypatch)


class Point(EntryPoint):
    """Of an installed package called `rainmaker`, version 1.2."""

    dist = SimpleNamespace(name="rainmaker", version="1.2")  # type: ignore[assignment]


def install(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    points = tuple(Point(name, value, registry.GROUP) for name, value in values.items())
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else ())


RAIN, NOT_A_FAMILY = Tint(name="rain"), object()


def test_ours_come_by_name(tiny: None) -> None:
    assert family("tint") is TINT
    assert list(families().items()) == [("tint", TINT), ("cut", CUT)]
    assert origin("cut") == f"maskscope {__version__}"


def test_the_nearest_names_are_said(tiny: None) -> None:
    with pytest.raises(SettingError, match="no family of transformations is called 'tnit'; did you mean tint"):
        family("tnit")
    with pytest.raises(SettingError, match="there are: tint, cut"):
        family("elephant")
    with pytest.raises(SettingError, match="'tnit'"):
        origin("tnit")


def test_other_packages_add_families(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, rain=f"{__name__}:RAIN")
    assert family_names() == ("tint", "cut", "rain")
    assert family("rain") is RAIN
    assert origin("rain") == "rainmaker 1.2"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no_such_module_anywhere:RAIN", "cannot be loaded .ModuleNotFoundError"),
        (f"{__name__}:SNOW", "cannot be loaded .AttributeError"),
        (f"{__name__}:NOT_A_FAMILY", "is no family"),
        (f"{__name__}:Cut", "is no family"),
        (f"{__name__}:TINT", "calls itself 'tint'"),
    ],
)
def test_a_broken_package_is_one_line_and_hurts_nobody_else(
    tiny: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str, says: str
) -> None:
    install(monkeypatch, rain=value)
    with pytest.raises(SettingError, match=f"'rain' of rainmaker {says}"):
        family("rain")
    monkeypatch.setattr(logging.getLogger("maskscope"), "propagate", True)
    with caplog.at_level(logging.WARNING, "maskscope"):
        assert list(families()) == ["tint", "cut"]
    assert "rainmaker" in caplog.text


def test_our_names_stay_ours(tiny: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    install(monkeypatch, tint=f"{__name__}:RAIN")
    monkeypatch.setattr(logging.getLogger("maskscope"), "propagate", True)
    with caplog.at_level(logging.WARNING, "maskscope"):
        assert family("tint") is TINT
        assert family_names() == ("tint", "cut")
    assert "'tint' of rainmaker is passed over" in caplog.text


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_is_listed_is_a_whole_family(name: str) -> None:
    found = family(name)
    assert found.name == name
    assert set(found.table) - {0} == {1, 2, 3, 4, 5}
    assert found.on_masks in ("leaves", "hides", "moves", "removes frames")
    assert found.unit
    assert not isinstance(found, Cut)


def test_asking_for_names_imports_no_family() -> None:
    code = (
        "import sys; from maskscope.transforms.registry import family_names; family_names();"
        "sys.exit(any(name.startswith('maskscope.transforms.families.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
