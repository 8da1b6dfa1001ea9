"""What holds for every family at every severity and seed: tried on some of them, drawn anew each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip
from family_checks import Noises, digest, drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from maskscope.transforms.base import Clip, ClipFrame, TransformedClip
from maskscope.transforms.chain import Recipe, transform
from maskscope.transforms.registry import BUILT_IN, family

FRAMES, SIZE = 40, (48, 64)
VARIANTS = [
    (name, variant)
    for name in BUILT_IN
    for variant in family(name).variants  # type: ignore[attr-defined]
    if variant.partition("-")[0] == variant
]
FEW = settings(max_examples=6, deadline=None)


def clip_with_void() -> ArrayClip:
    """A disc, a square, and a strip that nobody knows."""
    clip = moving_disc_clip(FRAMES, SIZE, objects=2)
    for labels in clip.labels:
        labels[:3, 5:20] = 255
    return clip


CLIP = clip_with_void()


def only(frame: ClipFrame, label: int) -> ClipFrame:
    """The frame as if the data set had no other object."""

    def kept(labels: np.ndarray) -> np.ndarray:
        return np.where(labels == label, label, 0).astype(np.uint8)

    visible = kept(frame.visible_hw)
    amodal = visible if frame.amodal_hw is frame.visible_hw else kept(frame.amodal_hw)
    return replace(frame, visible_hw=visible, amodal_hw=amodal)


@FEW
@given(st.sampled_from(VARIANTS), st.integers(0, 2**31), st.integers(0, FRAMES - 1))
def test_severity_0_changes_no_byte(which: tuple[str, str], seed: int, t: int) -> None:
    name, variant = which
    shown = transform(CLIP, [Recipe(name, 0, seed, variant), Recipe(name, 0, seed)], Noises())
    assert shown.num_frames == FRAMES
    before, after = CLIP.at(t), shown.at(t)
    assert digest([replace(after, strengths=())]) == digest([before])
    assert after.strengths == (0.0, 0.0)


@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_transform_then_mask_is_mask_then_transform(name: str, data: st.DataObject) -> None:
    """An object's mask does not depend on whether the others are in the label map, nor on being told apart later."""
    variant = data.draw(st.sampled_from([variant for kind, variant in VARIANTS if kind == name]))
    plan = family(name).plan(CLIP, data.draw(st.integers(1, 5)), data.draw(st.integers(0, 999)), Noises(), variant)
    for t in np.unique(np.linspace(0, plan.num_frames - 1, 7).astype(int)).tolist():
        sources = [CLIP.at(index) for index in plan.sources(t)]
        both = plan.apply(t, sources)
        for label in (1, 2):
            alone = plan.apply(t, [only(frame, label) for frame in sources])
            expected = only(both, label)
            visible, amodal = alone.visible_hw, alone.amodal_hw
            np.testing.assert_array_equal(visible, expected.visible_hw, err_msg=f"{variant}, frame {t}")
            np.testing.assert_array_equal(amodal, expected.amodal_hw, err_msg=f"{variant}, frame {t}")


@pytest.mark.parametrize("name", BUILT_IN)
def test_last_bits_of_another_machines_functions_change_no_byte(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sines, exponentials and roots of another library differ in the last bit; what is drawn must not."""

    def bytes_of() -> dict[str, str]:
        return {
            variant: digest([replace(frame, to_source=None) for frame in _some(CLIP, Recipe(name, 4, 3, variant))])
            for kind, variant in VARIANTS
            if kind == name
        }

    expected = bytes_of()
    for function in ("sin", "cos", "exp", "hypot", "arctan2", "log2", "power"):
        monkeypatch.setattr(np, function, _nearly(getattr(np, function)))
    assert bytes_of() == expected


def _nearly(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        exact = function(*arguments, **named)
        return exact * (1 + 2**-52) if np.asarray(exact).dtype == np.float64 else exact

    return call


def _some(clip: Clip, recipe: Recipe) -> list[ClipFrame]:
    """Every fifth frame; strengths are numbers for people, rounded here."""
    shown: TransformedClip = transform(clip, [recipe], Noises())
    frames = drawn(shown.plan, clip)[::5]
    return [replace(frame, strengths=tuple(round(one, 9) for one in frame.strengths)) for frame in frames]
