"""Look-alikes: behind the target, its own picture, elsewhere, and truth untouched."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip
from family_checks import Noises, digest, drawn

from maskscope.errors import DatasetError
from maskscope.transforms.families.lookalike import KINDS, LOOKALIKE, LookalikePlan

CLIP = moving_disc_clip(40, (96, 192))
RED = 60  # red above green by so much: of the disc alone


def plan(severity: int, variant: str, seed: int = 0, clip: ArrayClip = CLIP) -> LookalikePlan:
    found = LOOKALIKE.plan(clip, severity, seed, Noises(), variant)
    assert isinstance(found, LookalikePlan)
    return found


def red(image: np.ndarray) -> np.ndarray:
    return np.asarray(image[..., 0].astype(int) - image[..., 1] > RED)


@pytest.mark.parametrize("variant", KINDS)
@pytest.mark.parametrize("severity", [1, 5])
def test_the_target_and_its_truth_stay(variant: str, severity: int) -> None:
    for t, frame in enumerate(drawn(plan(severity, variant), CLIP)):
        before = CLIP.at(t)
        there = before.visible_hw > 0
        assert frame.visible_hw is before.visible_hw
        assert frame.amodal_hw is before.amodal_hw
        assert frame.source_time == t
        assert (frame.image_hwc[there] == before.image_hwc[there]).all()


def test_beside_it_is_seen_whole_at_its_distance_and_size() -> None:
    """The disc is 32 pixels wide; at severity 4 its like stands 1.2 of that away, of the same size."""
    shown = drawn(plan(4, "beside"), CLIP)
    for t in (10, 20, 30):
        there = CLIP.at(t).visible_hw > 0
        others = red(shown[t].image_hwc) & ~there
        assert others.sum() == pytest.approx(2 * there.sum(), rel=0.25), "two of them"
        x = np.flatnonzero(there.any(axis=0)).mean()
        left, right = (np.nonzero(part)[1].mean() for part in _sides(others, x))
        assert x - left == pytest.approx(1.2 * 33, abs=5)
        assert right - x == pytest.approx(1.2 * 33, abs=5)
        assert shown[t].strengths[-1] == pytest.approx(others.sum() / there.sum(), rel=0.15)


def _sides(mask: np.ndarray, x: float) -> tuple[np.ndarray, np.ndarray]:
    columns = np.arange(mask.shape[1])
    return mask & (columns < x), mask & (columns > x)


def test_crossing_it_passes_behind_and_comes_out_on_the_other_side() -> None:
    clip = moving_disc_clip(60, (96, 192))
    frames = drawn(plan(3, "crossing", clip=clip), clip)
    first = plan(3, "crossing", clip=clip).actors[0]
    middles = [np.nonzero(clip.at(t).visible_hw)[1].mean() for t in range(60)]
    offsets = np.array([x for x, _ in first.path]) - middles
    assert abs(offsets[0]) > 16
    assert np.sign(offsets[0]) != np.sign(offsets[45])
    hidden = int(np.argmin(np.abs(offsets)))
    assert 10 < hidden < 40
    assert frames[hidden].strengths[-1] < 0.5 * frames[0].strengths[-1]


def test_it_is_the_target_at_another_moment() -> None:
    found = plan(1, "beside")
    (actor,) = found.actors
    assert 8 <= actor.ahead_frames < 20
    assert found.sources(5) == (5, 5 + actor.ahead_frames)
    assert found.sources(39) == (39, 39 - actor.ahead_frames), "at the end time is turned round"
    assert all(0 <= index < 40 for t in range(40) for index in found.sources(t))


def test_more_severe_is_more_and_nearer_and_the_first_stays_on_its_side() -> None:
    shares, sides = [], set()
    for severity in range(1, 6):
        found = plan(severity, "beside")
        sides.add(found.parameters["sides"][0])
        shares.append(np.mean([frame.strengths[-1] for frame in drawn(found, CLIP)]))
        assert len(found.actors) == LOOKALIKE.table[severity]["count"]
    assert len(sides) == 1
    assert shares[0] < shares[2] < shares[4]


def test_no_target_no_lookalike() -> None:
    labels = tuple(np.zeros_like(label) if t > 4 else label for t, label in enumerate(CLIP.labels))
    gone = ArrayClip("gone", CLIP.frames, labels)
    found = plan(5, "beside", clip=gone)
    frame = found.apply(15, [gone.at(index) for index in found.sources(15)])
    assert frame.image_hwc is gone.frames[15]
    assert frame.strengths == (0.0,)
    with pytest.raises(DatasetError, match="shows no object on its first frame"):
        plan(1, "beside", clip=ArrayClip("never", CLIP.frames, (np.zeros_like(CLIP.labels[0]),) * 40))
    with pytest.raises(DatasetError, match="has 1 frame"):
        plan(1, "beside", clip=moving_disc_clip(1))


def test_replayed_and_pickled_it_is_the_same() -> None:
    found = plan(5, "crossing", seed=3)
    again = pickle.loads(pickle.dumps(found))
    frames = [CLIP.at(index) for index in found.sources(17)]
    assert digest([found.apply(17, frames)]) == digest([again.apply(17, frames)])
    assert digest([found.apply(17, frames)]) == digest([plan(5, "crossing", seed=3).apply(17, frames)])
    assert digest([found.apply(17, frames)]) != digest([plan(5, "crossing", seed=4).apply(17, frames)])
