"""Recipes by name, and as TOML files that say what differs from the compact one.

seed = 1
[clips]
paste = 0.0
[[cycles]]
learning_rate = 1e-3
[[cycles.phases]]
steps = 300
clips = 3
frames = 4
size_hw = [224, 384]
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from maskscope.errors import SettingError
from maskscope.training.clips import ClipConfig
from maskscope.training.recipe import CLIPS_APART, Cycle, Phase, Recipe

RECIPES: Final = {"compact": Recipe(seed=11, scenes=40)}
NOT_DECISIVE: Final = ("checkpoint_minutes",)
OF_A_CYCLE: Final = {"clips": ClipConfig(), "prompt_weights": (0.0, 0.0, 0.0), "correction_clicks": 0}
"""What a cycle may have of its own, where None is the recipe's: values of the right type."""

T = TypeVar("T")


def read_recipe(name_or_path: str) -> Recipe:
    """A recipe by its name, or what a TOML file makes of the compact one; paths in it are relative to the file.

    Raises:
        SettingError: neither a name nor a file, no TOML, or a key or value that a recipe does not have.
    """
    if name_or_path in RECIPES:
        return RECIPES[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        raise SettingError(
            f"there is no recipe or file called {name_or_path!r}", f"give {', '.join(RECIPES)}, or a TOML file"
        )
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not TOML ({error})", "see docs/training.md for an example") from None
    if "initial" in plain:
        plain["initial"] = str(path.parent / str(plain["initial"]))
    return check_recipe(_changed(RECIPES["compact"], plain, str(path)))


def check_recipe(recipe: Recipe) -> Recipe:
    """The recipe itself.

    Raises:
        SettingError: it can train nothing.
    """
    phases = [phase for cycle in recipe.cycles for phase in cycle.phases]
    for phase in phases:
        if min(phase.steps, phase.clips, phase.groups, phase.frames) < 1:
            raise SettingError(f"{phase} has nothing to train on", "give steps, clips, groups and frames of 1 or more")
        if phase.clips * phase.groups > CLIPS_APART:
            raise SettingError(f"a step of {phase.clips * phase.groups} clips is too large", f"{CLIPS_APART} at most")
        if min(phase.size_hw) < 32 or any(side % 32 for side in phase.size_hw):
            raise SettingError(f"size_hw is {list(phase.size_hw)}, expected (height, width) in multiples of 32")
    for number, cycle in enumerate(recipe.cycles, start=1):
        if any(phase.frames == 1 for phase in cycle.phases) and (cycle.prompt_weights or recipe.prompt_weights)[0]:
            raise SettingError(
                "a clip of one frame whose mask is given leaves nothing to learn",
                "give that cycle prompt_weights of 0 for masks, or longer clips",
            )
        if any(not 0 < begun < number for begun in cycle.begins_with):
            raise SettingError(
                f"cycle {number} begins with the weights of cycles {list(cycle.begins_with)}, which are not before it",
                f"name cycles from 1 to {number - 1}",
            )
    if not phases:
        raise SettingError("the recipe has no phases", "give at least one")
    for clicks in (recipe.correction_clicks, *(cycle.correction_clicks or 0 for cycle in recipe.cycles)):
        if clicks < 0:
            raise SettingError(f"correction_clicks is {clicks}, expected 0 or more")
    if not 0 <= recipe.losses.others <= 1:
        raise SettingError(f"others is {recipe.losses.others:g}, expected a share from 0 to 1")
    return recipe


def to_plain(recipe: Recipe) -> dict[str, Any]:
    """What decides the weights, as plain values."""
    plain: dict[str, Any] = _listed(dataclasses.asdict(recipe))
    return {key: value for key, value in plain.items() if key not in NOT_DECISIVE}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Names of the fields in which two plain recipes differ."""
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_listed(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _changed(instance: T, plain: Mapping[str, Any], where: str) -> T:
    """The dataclass with the values of `plain`, each of the type it has there."""
    assert dataclasses.is_dataclass(instance)
    known = [field.name for field in dataclasses.fields(instance)]
    changes = {}
    for key, value in plain.items():
        if key not in known:
            raise SettingError(f"{where} has {key!r}, which a recipe has not", f"it has {', '.join(known)}")
        changes[key] = _fitting(key, getattr(instance, key), value, f"{where}: {key}")
    changed: T = dataclasses.replace(instance, **changes)  # type: ignore[type-var]
    return changed


def _fitting(key: str, present: Any, value: Any, where: str) -> Any:
    if key == "cycles":
        return tuple(_made(Cycle(()), table, where) for table in _tables(value, where))
    if key == "phases":
        return tuple(_made(Phase(0, 0, 0, (0, 0)), table, where) for table in _tables(value, where))
    if key == "initial":
        return Path(value)
    if present is None and key in OF_A_CYCLE:
        return _fitting(key, OF_A_CYCLE[key], value, where)
    if dataclasses.is_dataclass(present) and isinstance(value, dict):
        return _changed(present, value, where)
    if isinstance(present, tuple) and isinstance(value, list):
        kind = type(present[0]) if present else int if key == "begins_with" else str
        if len(value) == len(present) or not present or kind is str:
            return tuple(_fitting(key, kind(), item, where) for item in value)
    if isinstance(present, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is type(present):
        return value
    raise SettingError(f"{where} is {value!r}, expected a value like {_listed(present)!r}")


def _made(empty: T, table: Any, where: str) -> T:
    """A phase or cycle, all of whose fields without a default are given."""
    needed = {f.name for f in dataclasses.fields(empty) if f.default is dataclasses.MISSING}  # type: ignore[arg-type]
    if not isinstance(table, dict) or needed - table.keys():
        raise SettingError(f"{where} needs {', '.join(sorted(needed))}, got {table!r}")
    return _changed(empty, table, where)


def _tables(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise SettingError(f"{where} is {value!r}, expected tables", "write [[cycles]] and [[cycles.phases]]")
    return value
