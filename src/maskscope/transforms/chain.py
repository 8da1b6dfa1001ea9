"""What a transformation is called, and several of them one after the other.

A recipe is all that decides a transformation of a given clip; its digest tells one from another wherever results are
kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from maskscope.errors import SettingError
from maskscope.transforms.base import SEVERITIES, Clip, ClipFrame, Material, TransformedClip
from maskscope.transforms.registry import family, origin

_DIGEST_FORMAT: Final = "maskscope.recipe/1"
_KEPT_FRAMES: Final = 16  # between two links of a chain; the widest average of a family asks for neighbours
_WORDS = re.compile(
    r"(?P<family>[A-Za-z][\w-]*)(?:/(?P<variant>[\w-]+))?(?::(?P<severity>[+-]?\d+))?(?:@(?P<seed>[+-]?\d+))?"
)


@dataclass(frozen=True, order=True)
class Recipe:
    """One transformation: with a clip and material it decides every byte.

    Written `family[/variant]:severity[@seed]`, as in `occlusion:3` or `occlusion/pass:3@7`.

    Args:
        family: name of a family; looked up when it is needed, not here.
        severity: 0 (changes nothing) to 5.
        seed: 0 or more.
        variant: of the family; None lets the seed choose.

    Raises:
        SettingError: a severity or seed out of range.
    """

    family: str
    severity: int
    seed: int = 0
    variant: str | None = None

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise SettingError(
                f"severity {self.severity} of {self.family} is out of range",
                f"expected {SEVERITIES[0]} (changes nothing) to {SEVERITIES[-1]}",
            )
        if self.seed < 0:
            raise SettingError(f"seed {self.seed} of {self.family} is negative", "expected 0 or more")

    @classmethod
    def parse(cls, text: str, severity: int | None = None, seed: int = 0) -> Recipe:
        """The recipe that `text` spells, the inverse of `str`.

        Args:
            text: `family[/variant][:severity][@seed]`.
            severity: where the text has none.
            seed: likewise.

        Raises:
            SettingError: another text, no severity, or one out of range.
        """
        words = _WORDS.fullmatch(text.strip())
        if words is None:
            raise SettingError(f"{text!r} is not FAMILY[/VARIANT][:SEVERITY][@SEED]", "for example occlusion:3")
        if words["severity"] is not None:
            severity = int(words["severity"])
        if severity is None:
            raise SettingError(f"{text!r} has no severity", f"for example {text.strip()}:3, or give --severity 3")
        seed = seed if words["seed"] is None else int(words["seed"])
        return cls(words["family"], severity, seed, words["variant"])

    def __str__(self) -> str:
        kind = self.family if self.variant is None else f"{self.family}/{self.variant}"
        return f"{kind}:{self.severity}" + (f"@{self.seed}" if self.seed else "")

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal over the recipe, the numbers of its severity and the package version behind them.

        The same in every process; another one as soon as the family's table or its package changes.

        Raises:
            SettingError: there is no such family.
        """
        content = {
            "family": self.family,
            "variant": self.variant,
            "severity": self.severity,
            "seed": self.seed,
            "parameters": dict(family(self.family).table.get(self.severity, {})),
            "origin": origin(self.family),
        }
        return _sha256({"format": _DIGEST_FORMAT, "recipe": content})

    def as_json(self) -> dict[str, Any]:
        """As plain values, with the digest."""
        return {
            "recipe": str(self),
            "family": self.family,
            "variant": self.variant,
            "severity": self.severity,
            "seed": self.seed,
            "digest": self.digest,
            "origin": origin(self.family),
        }


def parse_chain(text: str) -> tuple[Recipe, ...]:
    """Recipes joined by `+`, in the order they are applied: `speed:2+occlusion:3`.

    Raises:
        SettingError: as of `Recipe.parse`.
    """
    return tuple(Recipe.parse(part) for part in text.split("+"))


def chain_text(recipes: Sequence[Recipe]) -> str:
    """The inverse of `parse_chain`."""
    return "+".join(map(str, recipes))


def chain_digest(recipes: Sequence[Recipe], material: str = "") -> str:
    """SHA-256 in hexadecimal over the recipes in their order.

    Args:
        recipes: one or more.
        material: what the material is called, where it is not the usual one.
    """
    return _sha256({"format": _DIGEST_FORMAT, "chain": [recipe.digest for recipe in recipes], "material": material})


def transform(clip: Clip, recipes: Sequence[Recipe], material: Material) -> TransformedClip:
    """The clip under one transformation after the other, drawn frame by frame when asked.

    What a family draws depends on the source's name, the recipe's seed, and how many links of that family came before
    it; not on the links of other families. So an occluder takes the same path with and without a change of light.

    Args:
        clip: what to transform.
        recipes: in the order of their application, one or more.
        material: of occluders and foreign footage.

    Raises:
        SettingError: no recipe, or an unknown family or variant.
        DatasetError: a plan cannot be made for this clip.
    """
    if not recipes:
        raise SettingError("no transformation is named", "for example occlusion:3")
    changed: TransformedClip | None = None
    before: list[str] = []
    for recipe in recipes:
        shown: Clip = clip if changed is None else _Kept(changed)
        again = before.count(recipe.family)
        seen = _Named(shown, f"{clip.name}#{again + 1}" if again else clip.name)
        plan = family(recipe.family).plan(seen, recipe.severity, recipe.seed, material, recipe.variant)
        changed = TransformedClip(shown, plan, str(recipe))
        before.append(recipe.family)
    assert changed is not None
    return changed


def parameters(clip: TransformedClip) -> list[Mapping[str, Any]]:
    """What the plan of each link has drawn and decided, in the order they are applied."""
    found: list[Mapping[str, Any]] = []
    link: Clip = clip
    while isinstance(link, TransformedClip):
        found.append(link.plan.parameters)
        link = link.clip.clip if isinstance(link.clip, _Kept) else link.clip
    return found[::-1]


def strengths(frame: ClipFrame, links: int) -> list[float | None]:
    """Realised strength of each of `links` recipes on a frame; None for those before foreign footage came in."""
    return [None] * (links - len(frame.strengths)) + list(frame.strengths)


@dataclass(frozen=True)
class _Named:
    """A clip by another name, for the plans that draw from it."""

    clip: Clip
    name: str

    @property
    def num_frames(self) -> int:
        return self.clip.num_frames

    @property
    def size(self) -> tuple[int, int]:
        return self.clip.size

    def at(self, index: int) -> ClipFrame:
        return self.clip.at(index)


@dataclass(frozen=True)
class _Kept:
    """A transformed clip with its last frames kept at hand, for a link that asks for them several times."""

    clip: TransformedClip
    _at: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_at", lru_cache(maxsize=_KEPT_FRAMES)(self.clip.at))

    def __getstate__(self) -> dict[str, Any]:
        return {"clip": self.clip}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "clip", state["clip"])
        self.__post_init__()

    @property
    def name(self) -> str:
        return self.clip.name

    @property
    def num_frames(self) -> int:
        return self.clip.num_frames

    @property
    def size(self) -> tuple[int, int]:
        return self.clip.size

    def at(self, index: int) -> ClipFrame:
        frame: ClipFrame = self._at(index)
        return frame


def _sha256(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
