"""Every measure: masks are those of an unobserved run to the bit; nothing is left of it, also after an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from listened import FRAMES, OBJECTS, Broken, hooks_of, logits, model_with, track, truth
from maskscope.model import SAM2
from maskscope.observe.measures.filtering import Filtering
from maskscope.observe.measures.other_clips import CellKeeper
from maskscope.observe.measures.pointer import PointerIdentity
from maskscope.observe.measures.separation import Separation
from maskscope.observe.measures.window_distance import WindowDistance
from maskscope.observe.probe import Measure, Probe, Sight, attached
from maskscope.observe.reading import Reading
from maskscope.observe.taps import Taps
from maskscope.stages import STAGES
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from random_models import SIZE, moving_square

MEASURES: dict[str, Callable[[], Measure]] = {
    "separation": lambda: Separation(collect=True),
    "window distance": WindowDistance,
    "pointer identity": PointerIdentity,
    "cells of other clips": lambda: CellKeeper(range(1, FRAMES)),
    "filtering": lambda: Filtering((SIZE, SIZE)).clean,
}


class Breaking:
    """A measure that fails late on a frame, after the others have seen the earlier positions."""

    def __init__(self, at: str) -> None:
        self.at = at

    def see(self, sight: Sight) -> Iterable[Reading]:
        if sight.frame == 2 and sight.stage == self.at:
            raise Broken
        return ()


@pytest.fixture(scope="module")
def model() -> SAM2:
    return model_with()


@pytest.fixture(scope="module")
def plain(model: SAM2) -> list[np.ndarray]:
    return logits(track(model, []))


def probe(*measures: Measure) -> Probe:
    return Probe(measures, truth, memory_dim=64, picture=moving_square(FRAMES).__getitem__)


@pytest.mark.parametrize("name", MEASURES)
def test_masks_are_the_same_to_the_bit(model: SAM2, plain: list[np.ndarray], name: str) -> None:
    seen: list[Sight] = []
    listening = Probe(
        [MEASURES[name]()], truth, memory_dim=64, picture=moving_square(FRAMES).__getitem__, sink=seen.append
    )
    watched = logits(track(model, [listening]))
    assert all(np.array_equal(a, b) for a, b in zip(plain, watched, strict=True))
    told = [(sight.frame, sight.stage, sight.object) for sight in seen]
    assert len(told) == len(set(told))
    assert {(t, stage, i) for t in range(1, FRAMES) for stage in STAGES for i in OBJECTS} <= set(told)
    assert hooks_of(model) == 0


def test_all_of_them_at_once_and_at_every_tap(model: SAM2, plain: list[np.ndarray]) -> None:
    every = [make() for make in MEASURES.values()]
    at_taps = probe(Separation())
    with Taps(model, at_taps) as taps:
        watched = logits(track(model, [probe(*every), taps]))
    assert all(np.array_equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert at_taps.readings
    assert hooks_of(model) == 0


@pytest.mark.parametrize("stage", STAGES)
def test_an_exception_at_any_position_leaves_the_tracker_as_it_was(
    model: SAM2, plain: list[np.ndarray], stage: str
) -> None:
    """The frame that failed can be tracked again, and gives the masks it would have given."""
    tracker = Tracker(model)
    frames = moving_square(FRAMES)
    box = (SIZE // 4, SIZE // 2, SIZE // 2, 3 * SIZE // 4)  # as `listened.track` has it
    prompts = [Prompt(1, mask=truth(0)[1]), Prompt(2, box_xyxy_px=box)]
    found = [tracker.step(frames[0], prompts), tracker.step(frames[1])]
    every = [make() for make in MEASURES.values()]
    at_taps = probe(*every, Breaking(stage))
    with pytest.raises(Broken), Taps(model, at_taps) as taps, attached(tracker, at_taps, taps):
        tracker.step(frames[2])
    assert tracker.observers == tracker.session.observers == []
    assert hooks_of(model) == 0
    found += [tracker.step(frame) for frame in frames[2:]]
    assert all(np.array_equal(a, b) for a, b in zip(plain, logits(found), strict=True))
