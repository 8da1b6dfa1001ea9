"""What every family does at its door: check the request, choose a variant; and the plan that changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms.base import SEVERITIES, Clip, ClipFrame, Plan


def ladder(**columns: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """A family's table from one column per parameter, each with a value for the severities 1 to 5."""
    return {
        severity: {name: values[severity - 1] for name, values in columns.items()}
        for severity in SEVERITIES
        if severity > 0
    }


def check_request(family: str, severity: int, variant: str | None, variants: Sequence[str]) -> None:
    """Whether a family knows this severity and variant.

    Raises:
        SettingError: it does not.
    """
    if severity not in SEVERITIES:
        raise SettingError(
            f"severity {severity} of {family} is out of range",
            f"expected {SEVERITIES[0]} (changes nothing) to {SEVERITIES[-1]}",
        )
    if variant is not None and variant not in variants:
        near = difflib.get_close_matches(variant, variants, n=3)
        raise SettingError(
            f"{family} has no variant {variant!r}",
            f"did you mean {' or '.join(near)}" if near else f"there are: {', '.join(variants)}",
        )


def first_that_fits(rng: np.random.Generator, variants: Sequence[str], plan_of: Callable[[str], Plan]) -> Plan:
    """The plan of the variant that `rng` puts first; where the clip does not allow it, of the next one.

    Args:
        rng: decides the order, the same for all severities of a seed.
        variants: to choose from.
        plan_of: raises `DatasetError` where the clip does not allow a variant.

    Raises:
        DatasetError: the clip allows none; the first one's reason.
    """
    refusal: DatasetError | None = None
    for index in rng.permutation(len(variants)):
        try:
            return plan_of(variants[index])
        except DatasetError as error:
            refusal = refusal or error
    assert refusal is not None, "a family has variants"
    raise refusal


def check_length(family: str, variant: str, clip: Clip, least_frames: int) -> None:
    """Whether a clip is long enough.

    Raises:
        DatasetError: it is not.
    """
    if clip.num_frames < least_frames:
        count = f"{clip.num_frames} frame{'s' if clip.num_frames != 1 else ''}"
        raise DatasetError(
            f"{clip.name} has {count}, too short for {family} ({variant}) of this severity",
            f"it needs at least {least_frames}; take a lower severity, another variant or a longer clip",
        )


@dataclass(frozen=True)
class UnchangedPlan:
    """Severity 0: the very arrays of the clip, with a strength of 0."""

    num_frames: int
    family: str

    @property
    def parameters(self) -> Mapping[str, Any]:
        """That nothing changes."""
        return {"family": self.family, "severity": 0, "variant": None}

    def sources(self, t: int) -> tuple[int, ...]:
        """The same frame."""
        return (t,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The same frame."""
        return frames[0].with_strength(0.0)


class Derived:
    """A dataclass whose `cached_property` arrays stay out of its pickle: they follow from its fields."""

    def __getstate__(self) -> dict[str, Any]:
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}  # type: ignore[arg-type]
