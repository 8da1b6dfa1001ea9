"""Policies by name, and their settings as text: our own, and those that other packages bring along.

A package adds policies with entry points that name a `PolicyKind`, in its `pyproject.toml`:

    [project.entry-points."maskscope.policies"]
    doubting = "my_package.doubting:DOUBTING"

A program adds one for itself with `add`.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from maskscope.errors import SettingError
from maskscope.memory.policy import PolicyFactory
from maskscope.memory.settings import PolicyKind, read_settings

log = logging.getLogger(__name__)

GROUP: Final = "maskscope.policies"

BUILT_IN: Final[Mapping[str, str]] = {
    "stock": "maskscope.memory.policies.stock:STOCK",
    "gated": "maskscope.memory.policies.gated:GATED",
    "motion": "maskscope.memory.policies.motion:MOTION_AWARE",
    "distractor": "maskscope.memory.policies.distractor:DISTRACTOR",
    "paths": "maskscope.memory.policies.paths:PATHS",
    "composite": "maskscope.memory.policies.composite:COMPOSITE",
}
"""Where each of our policies is defined; nothing is imported before it is asked for."""


_added: dict[str, PolicyKind] = {}


def add(kind: PolicyKind) -> None:
    """Let a policy of this program's own be asked for by its name; again replaces it.

    Raises:
        SettingError: the name is one of ours or of another package.
    """
    if kind.name in BUILT_IN or kind.name in _others():
        raise SettingError(f"a policy is called {kind.name!r} already", "give yours another name")
    if not re.fullmatch(r"[\w-]+", kind.name):
        raise SettingError(f"a policy is called {kind.name!r}", "a name has letters, digits, - and _")
    _added[kind.name] = kind


def policy_names() -> tuple[str, ...]:
    """What can be asked for: ours in the order of the documentation, then those of other packages and added ones."""
    return (*BUILT_IN, *sorted({*_others(), *_added}))


def kind(name: str) -> PolicyKind:
    """The policy of that name.

    Raises:
        SettingError: there is none, or the package that brings it cannot be loaded.
    """
    if name in BUILT_IN:
        module, _, constant = BUILT_IN[name].partition(":")
        ours: PolicyKind = getattr(import_module(module), constant)
        return ours
    if name in _added:
        return _added[name]
    if name not in _others():
        near = difflib.get_close_matches(name, policy_names(), n=3)
        raise SettingError(
            f"no memory policy is called {name!r}",
            f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(policy_names())}",
        )
    return _load(_others()[name])


def kinds() -> dict[str, PolicyKind]:
    """All policies by name, in the order of `policy_names`; of other packages those that can be loaded."""
    found: dict[str, PolicyKind] = {}
    for name in policy_names():
        try:
            found[name] = kind(name)
        except SettingError as error:
            log.warning("%s", error)
    return found


def policy(text: str) -> PolicyFactory:
    """What makes an object's policy, from `NAME` or `NAME:key=value,...`, such as "gated:warm_up=8,rule=mean".

    Raises:
        SettingError: no such policy or setting, or a value that does not fit it.
    """
    name, colon, values = text.partition(":")
    chosen = kind(name.strip())
    if colon and not values.strip():
        raise SettingError(f"policy {text!r} has a colon and no settings", "give key=value after it, or leave it out")
    return chosen.factory(read_settings(chosen.settings, values, f"policy {chosen.name}"))


@lru_cache(maxsize=1)
def _others() -> dict[str, EntryPoint]:
    """Entry points by name; a name of ours stays ours."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in BUILT_IN or point.name in found:
            log.warning("the policy %r of %s is passed over: the name is taken", point.name, _package(point))
        else:
            found[point.name] = point
    return found


def _load(point: EntryPoint) -> PolicyKind:
    package = _package(point)
    try:
        loaded = point.load()
    except Exception as error:  # whatever a foreign package does when it is imported
        raise SettingError(
            f"the policy {point.name!r} of {package} cannot be loaded ({type(error).__name__}: {error})",
            f"update or remove {package}",
        ) from error
    if not isinstance(loaded, PolicyKind):
        raise SettingError(
            f"the policy {point.name!r} of {package} is no PolicyKind but {type(loaded).__name__}",
            f"update or remove {package}",
        )
    if loaded.name != point.name:
        raise SettingError(
            f"the policy {point.name!r} of {package} calls itself {loaded.name!r}", "both names must be one"
        )
    return loaded


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
