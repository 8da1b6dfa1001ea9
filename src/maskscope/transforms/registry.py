"""Families by name: our own, and those that other packages bring along.

A package adds families with entry points that name a `Family`, in its `pyproject.toml`:

    [project.entry-points."maskscope.transforms"]
    rain = "my_package.rain:RAIN"
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Final

from maskscope.errors import SettingError
from maskscope.transforms.base import Family

log = logging.getLogger(__name__)

GROUP: Final = "maskscope.transforms"

BUILT_IN: Final[Mapping[str, str]] = {
    "occlusion": "maskscope.transforms.families.occlusion:OCCLUSION",
    "illumination": "maskscope.transforms.families.illumination:ILLUMINATION",
    "speed": "maskscope.transforms.families.speed:SPEED",
    "viewpoint": "maskscope.transforms.families.viewpoint:VIEWPOINT",
    "interjection": "maskscope.transforms.families.interjection:INTERJECTION",
    "lookalike": "maskscope.transforms.families.lookalike:LOOKALIKE",
    "corruption": "maskscope.transforms.families.corruption:CORRUPTION",
}
"""Where each of our families is defined; nothing is imported before it is asked for."""


def family_names() -> tuple[str, ...]:
    """What can be asked for: ours in the order of the documentation, then those of other packages by name."""
    return (*BUILT_IN, *sorted(_others()))


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        SettingError: there is none, or the package that brings it cannot be loaded.
    """
    if name in BUILT_IN:
        module, _, constant = BUILT_IN[name].partition(":")
        ours: Family = getattr(import_module(module), constant)
        return ours
    if name not in _others():
        near = difflib.get_close_matches(name, family_names(), n=3)
        raise SettingError(
            f"no family of transformations is called {name!r}",
            f"did you mean {' or '.join(near)}" if near else f"there are: {', '.join(family_names())}",
        )
    return _load(_others()[name])


def families() -> dict[str, Family]:
    """All families by name, in the order of `family_names`; of other packages those that can be loaded."""
    found: dict[str, Family] = {}
    for name in family_names():
        try:
            found[name] = family(name)
        except SettingError as error:
            log.warning("%s", error)
    return found


def origin(name: str) -> str:
    """Package and version that a family comes from, such as "maskscope 0.1.0": what its results depend on.

    Raises:
        SettingError: there is no such family.
    """
    if name in BUILT_IN:
        return f"maskscope {version('maskscope')}"
    family(name)
    package = _others()[name].dist
    return f"{package.name} {package.version}" if package is not None else "unknown"


@lru_cache(maxsize=1)
def _others() -> dict[str, EntryPoint]:
    """Entry points by name; a name of ours stays ours."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in BUILT_IN or point.name in found:
            package = point.dist.name if point.dist is not None else point.value
            log.warning("the family %r of %s is passed over: the name is taken", point.name, package)
        else:
            found[point.name] = point
    return found


def _load(point: EntryPoint) -> Family:
    package = point.dist.name if point.dist is not None else point.value
    try:
        loaded = point.load()
    except Exception as error:  # whatever a foreign package does when it is imported
        raise SettingError(
            f"the family {point.name!r} of {package} cannot be loaded ({type(error).__name__}: {error})",
            f"update or remove {package}",
        ) from error
    # An instance check calls no code of the protocol's members, but a class has them, too.
    if isinstance(loaded, type) or not all(
        hasattr(loaded, part) for part in ("name", "unit", "table", "on_masks", "plan")
    ):
        raise SettingError(
            f"the family {point.name!r} of {package} is no family: {point.value} lacks name, unit, table, on_masks or "
            "plan",
            f"update or remove {package}",
        )
    foreign: Family = loaded
    if foreign.name != point.name:
        raise SettingError(
            f"the family {point.name!r} of {package} calls itself {foreign.name!r}", "both names must be one"
        )
    return foreign
