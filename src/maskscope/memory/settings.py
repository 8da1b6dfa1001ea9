"""What a policy is called and can be told, and settings read from text."""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from maskscope.errors import SettingError
from maskscope.memory.policy import MemoryPolicy, PolicyFactory
from maskscope.memory.thinning import thinned
from maskscope.model.config import MemoryConfig


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing a policy can be told: its name, its default as text, and what it means, with its unit."""

    name: str
    default: str
    meaning: str


Settings = TypeVar("Settings")


@dataclass(frozen=True)
class ReadSettings:
    """What every policy can be told; those of a policy's own are added in a class derived from it.

    Attributes:
        thin: share of the tokens that is read of older tracked frames, 0.01..1; prompted frames, anchors and the newest
            frame are read whole. 1 reads everything. See `maskscope.memory.thinning`.
    """

    thin: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "thin", 0.01, 1)


@dataclass(frozen=True)
class PolicyKind:
    """A policy as it is listed and made.

    Attributes:
        name: what it is asked for by.
        about: its rule, in one line.
        source: where the rule comes from, in one line.
        build: the class, or anything that makes a policy of the model's memory configuration and the settings.
        settings: a frozen dataclass whose every field has a default; its `__post_init__` may refuse values. Derived
            from `ReadSettings` it has what every policy can be told, too.
    """

    name: str
    about: str
    source: str
    build: Callable[[MemoryConfig, Any], MemoryPolicy]
    settings: type = field(default=ReadSettings)

    def describe(self) -> list[Setting]:
        """What can be told, in the order of the dataclass."""
        meanings: dict[str, str] = {}
        for owner in reversed(self.settings.__mro__):
            meanings |= _attributes(owner.__doc__ or "")
        defaults = self.settings()
        return [
            Setting(f.name, str(getattr(defaults, f.name)), meanings.get(f.name, ""))
            for f in fields(self.settings)  # a dataclass, which `type` cannot say
        ]

    def factory(self, settings: object | None = None) -> PolicyFactory:
        """What makes one policy for each object, with these settings or the defaults."""
        chosen = self.settings() if settings is None else settings
        share: float = chosen.thin if isinstance(chosen, ReadSettings) else 1.0
        return lambda config: thinned(self.build(config, chosen), config, share)


def read_settings(kind: type[Settings], text: str, where: str) -> Settings:
    """`key=value,key=value` as an instance of a dataclass; what is not named keeps its default.

    Raises:
        SettingError: a name that is none of its fields, or a value that does not fit.
    """
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # a dataclass, which `type` cannot say
    values: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise SettingError(f"{where} is told {part!r}", "settings are key=value, with commas between them")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3)
            known = f"it has: {', '.join(names)}" if names else "it has none"
            raise SettingError(
                f"{where} has no setting {name!r}", f"did you mean {' or '.join(near)}?" if near else known
            )
        if name in values:
            raise SettingError(f"{where} is told {name} twice", "give it once")
        values[name] = _value(value, hints[name], f"{where}: {name}")
    return kind(**values)


def check_range(owner: object, name: str, low: float, high: float = math.inf) -> None:
    """Refuse a field of a settings dataclass outside low..high, both included.

    Raises:
        SettingError: it is, or is no number.
    """
    value = getattr(owner, name)
    if not low <= value <= high:  # neither NaN
        least = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise SettingError(f"{name} is {value:g}, expected {least}", f"for example {name}={_inside(low, high):g}")


def _inside(low: float, high: float) -> float:
    return low + 1 if high == math.inf else high


def _value(text: str, hint: Any, where: str) -> Any:
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if text in choices:
            return text
        near = difflib.get_close_matches(text, choices, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(choices)}"
        raise SettingError(f"{where} is {text!r}", remedy)
    if isinstance(hint, UnionType):
        if text.lower() == "none":
            return None
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if hint is bool:
        known = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
        if text.lower() not in known:
            raise SettingError(f"{where} is {text!r}, expected on or off", f"for example {where.split(': ')[-1]}=on")
        return known[text.lower()]
    kind = "a whole number" if hint is int else "a number"
    try:
        return hint(text)
    except ValueError:
        raise SettingError(f"{where} is {text!r}, expected {kind}", f"for example {where.split(': ')[-1]}=1") from None


def _attributes(docstring: str) -> dict[str, str]:
    """Names and meanings in the "Attributes:" of a docstring."""
    found: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(docstring).partition("Attributes:\n")[2].splitlines():
        new = re.match(r" {4}(\w+): (.*)", line)
        if new:
            name, found[new[1]] = new[1], new[2]
        elif name and line.startswith(" " * 8):
            found[name] += f" {line.strip()}"
    return found
