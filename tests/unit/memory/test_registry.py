"""Policies by name and settings by text: ours, those of other packages, those of a program, and every mistake."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskscope.errors import SettingError
from maskscope.memory.policies import registry
from maskscope.memory.policies.gated import GatedPolicy, GatedSettings
from maskscope.memory.policies.motion import MotionPolicy
from maskscope.memory.policies.stock import STOCK, StockPolicy
from maskscope.memory.settings import PolicyKind
from maskscope.model.config import MemoryConfig

CONFIG = MemoryConfig()


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    registry._others.cache_clear()
    monkeypatch.setattr(registry, "_added", {})  # what others added stays theirs
    yield
    registry._others.cache_clear()


class Point(EntryPoint):
    """Of an installed package called `rememberer`."""

    dist = SimpleNamespace(name="rememberer", version="1.2")  # type: ignore[assignment]


def install(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    points = tuple(Point(name, value, registry.GROUP) for name, value in values.items())
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else ())


@dataclass(frozen=True)
class BriefSettings:
    """Nothing else.

    Attributes:
        depth: frames that are
            remembered.
    """

    depth: int = 3


class BriefPolicy(StockPolicy):
    def __init__(self, config: MemoryConfig, settings: BriefSettings) -> None:
        super().__init__(config)
        self.settings = settings


BRIEF = PolicyKind("brief", "remembers little", "a test", BriefPolicy, BriefSettings)
NO_KIND = object()


# -- names --------------------------------------------------------------------------------------------------------


def test_ours_come_by_name() -> None:
    assert isinstance(registry.policy("stock")(CONFIG), StockPolicy)
    assert isinstance(registry.policy("motion")(CONFIG), MotionPolicy)
    assert list(registry.kinds()) == list(registry.BUILT_IN)
    assert registry.kinds()["stock"] is STOCK


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_every_policy_says_what_it_is(name: str) -> None:
    kind = registry.kind(name)
    assert kind.name == name
    for text in (kind.about, kind.source):
        assert text
        assert "\n" not in text
    assert all(setting.meaning for setting in kind.describe()), "every setting is explained"
    assert kind.factory()(CONFIG) is not kind.factory()(CONFIG), "one policy for each object"


def test_a_policy_is_not_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys; from maskscope.memory.policies import registry; registry.policy('stock');"
        "print([m for m in sys.modules if m.startswith('maskscope.memory.policies.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "gated" not in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stok", "no memory policy is called 'stok'; did you mean stock?"),
        ("elephant", "there are: stock, gated, motion"),
        ("", "no memory policy is called ''"),
        ("gated:", "has a colon and no settings"),
        ("gated:warm_up", "policy gated is told 'warm_up'; settings are key=value"),
        ("gated:warmup=3", "policy gated has no setting 'warmup'; did you mean warm_up?"),
        ("gated:elephant=3", "it has: thin, rule, threshold, cells, window"),
        ("stock:elephant=3", "policy stock has no setting 'elephant'; it has: thin"),
        ("gated:warm_up=3,warm_up=4", "policy gated is told warm_up twice"),
        ("gated:warm_up=three", "warm_up is 'three', expected a whole number"),
        ("gated:warm_up=3.5", "warm_up is '3.5', expected a whole number"),
        ("gated:calm=low", "calm is 'low', expected a number"),
        ("gated:rule=meen", "rule is 'meen'; did you mean mean?"),
        ("gated:rule=xyz", "rule is 'xyz'; it is one of fixed, mean, maximum"),
        ("gated:patience=0", "patience is 0, expected 1 or more"),
        ("motion:weight=2", "weight is 2, expected 0 to 1"),
        ("motion:off_at_cuts=maybe", "off_at_cuts is 'maybe', expected on or off"),
        ("motion:weight=nan", "weight is nan, expected 0 to 1"),
    ],
)
def test_mistakes_are_one_line(text: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        registry.policy(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# -- settings -----------------------------------------------------------------------------------------------------


def settings_of(text: str) -> GatedSettings:
    policy = registry.policy(text)(CONFIG)
    assert isinstance(policy, GatedPolicy)
    return policy.settings


def test_settings_are_read_by_their_types() -> None:
    assert settings_of("gated:warm_up=5,rule=maximum") == GatedSettings(warm_up=5, rule="maximum")
    assert settings_of(" gated : threshold = 2.5 , patience = 7 ") == GatedSettings(threshold=2.5, patience=7)
    assert settings_of("gated:threshold=none") == settings_of("gated") == GatedSettings()
    motion = registry.policy("motion:off_at_cuts=off,weight=0.25")(CONFIG)
    assert isinstance(motion, MotionPolicy)
    assert (motion.settings.off_at_cuts, motion.settings.weight) == (False, 0.25)


def test_settings_are_described() -> None:
    [setting] = BRIEF.describe()
    assert (setting.name, setting.default, setting.meaning) == ("depth", "3", "frames that are remembered.")
    inherited = {setting.name: setting for setting in registry.kind("gated").describe()}
    assert inherited["window"].meaning.startswith("frames of memory")
    assert inherited["patience"].default == "24"


# -- others -------------------------------------------------------------------------------------------------------


def test_other_packages_add_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, brief=f"{__name__}:BRIEF")
    assert registry.policy_names() == (*registry.BUILT_IN, "brief")
    policy = registry.policy("brief:depth=5")(CONFIG)
    assert isinstance(policy, BriefPolicy)
    assert policy.settings == BriefSettings(5)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no_such_module_anywhere:BRIEF", "cannot be loaded (ModuleNotFoundError"),
        (f"{__name__}:LONG", "cannot be loaded (AttributeError"),
        (f"{__name__}:NO_KIND", "is no PolicyKind but object"),
        (f"{__name__}:STOCK", "calls itself 'stock'"),
    ],
)
def test_a_broken_package_is_one_line_and_hurts_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str, says: str
) -> None:
    install(monkeypatch, brief=value)
    with pytest.raises(SettingError) as caught:
        registry.policy("brief")
    assert says in str(caught.value)
    assert "rememberer" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        assert list(registry.kinds()) == list(registry.BUILT_IN)
    assert says in caplog.text


def test_names_of_ours_stay_ours(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    install(monkeypatch, stock=f"{__name__}:BRIEF")
    with caplog.at_level(logging.WARNING):
        assert registry.kind("stock") is STOCK
        assert registry.policy_names() == tuple(registry.BUILT_IN)
    assert "'stock' of rememberer is passed over" in caplog.text


def test_a_program_adds_its_own() -> None:
    registry.add(BRIEF)
    assert isinstance(registry.policy("brief:depth=2")(CONFIG), BriefPolicy)
    assert "brief" in registry.kinds()
    with pytest.raises(SettingError, match="'stock' already"):
        registry.add(STOCK)
    with pytest.raises(SettingError, match="a name has letters"):
        registry.add(PolicyKind("a:b", "", "", BriefPolicy))


def test_the_documented_example_is_the_example() -> None:
    """The page shows a part of the program, letter by letter."""
    root = Path(__file__).parents[3]
    page = (root / "docs/policies.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- example: write_a_policy -->\n```python\n")[2].partition("```")[0]
    program = (root / "examples/write_a_policy.py").read_text(encoding="utf-8")
    assert shown
    assert shown in program
    assert len(program.splitlines()) < 60


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_every_policy_has_a_page_that_names_all_it_can_be_told(name: str) -> None:
    page = (Path(__file__).parents[3] / f"docs/policies/{name}.md").read_text(encoding="utf-8")
    missing = [setting.name for setting in registry.kind(name).describe() if f"`{setting.name}" not in page]
    assert [each for each in missing if each != "thin"] == [], "thin has a section of its own"
