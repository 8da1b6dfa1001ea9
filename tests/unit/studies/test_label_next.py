"""Choosing frames from signs made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import SettingError
from maskscope.studies.label_next import Signs, SignWeights, label_next
from maskscope.studies.signs import ClipSigns, ObjectSigns

N = 40


def signs(**given: np.ndarray) -> ObjectSigns:
    looks = given.pop("looks", np.tile(np.array([[1.0, 0.0]], np.float32), (N, 1)))
    return ObjectSigns(*(given.get(name, np.zeros(N)) for name in ("absence", "doubt", "disagreement")), looks=looks)


def clip(*objects: ObjectSigns, name: str = "clip", labelled: tuple[int, ...] = (0,)) -> ClipSigns:
    return ClipSigns(name, N, labelled, dict(enumerate(objects, 1)))


def bump(start: int, end: int, height: float = 1.0) -> np.ndarray:
    values = np.zeros(N)
    values[start:end] = height
    return values


def test_the_risk_is_the_weighted_mean() -> None:
    risk = SignWeights(1, 1, 2, 1).of(Signs(*(np.array([v]) for v in (0.2, 0.4, 1.0, 0.0))))
    assert risk[0] == pytest.approx((0.2 + 0.4 + 2 * 1.0) / 5)


def test_a_long_failure_comes_before_a_short_one_and_choices_lie_apart() -> None:
    long_and_short = signs(disagreement=np.maximum(bump(10, 13), bump(22, 36)))
    first, second = label_next([clip(long_and_short)], 2)
    assert 24 <= first.frame <= 34
    assert 9 <= second.frame <= 16 or abs(second.frame - first.frame) >= 5
    assert first.risk == pytest.approx(0.25 / 3.75)
    assert first.reasons == ("forwards and backwards disagree (IoU 0.00)",)


def test_the_object_at_risk_is_named_with_its_reasons() -> None:
    weak = signs(absence=bump(18, 22, 0.9), doubt=bump(18, 22, 0.5))
    [chosen] = label_next([clip(signs(), weak)], 1)
    assert (chosen.object_id, chosen.clip) == (2, "clip")
    assert 18 <= chosen.frame < 22
    assert chosen.reasons == ("predicted IoU 0.50", "seen with a probability of 0.10 only")


def test_the_riskier_clip_comes_first() -> None:
    calm, wild = clip(signs(), name="calm"), clip(signs(doubt=bump(5, 30)), name="wild")
    assert label_next([calm, wild], 1)[0].clip == "wild"


def test_what_looks_strange_does_so_no_more_once_one_like_it_is_chosen() -> None:
    looks = np.tile(np.array([[1.0, 0.0]], np.float32), (N, 1))
    looks[20:] = (0.0, 1.0)
    chosen = label_next([clip(signs(looks=looks))], 3)
    assert chosen[0].frame >= 20
    assert chosen[0].reasons == ("looks unlike labelled frames (1.00)",)
    assert all(s.risk == 0 for s in chosen[1:])


def test_without_any_sign_frames_far_from_labels_are_taken() -> None:
    [only] = label_next([clip(signs())], 1)
    assert only.frame >= N // 2 - 1
    assert only.reasons == ("far from labelled frames",)


def test_each_frame_is_chosen_once_and_labelled_ones_never() -> None:
    small = ClipSigns("clip", N, tuple(range(N - 3)), {1: signs()})
    assert sorted(s.frame for s in label_next([small], 10)) == [N - 3, N - 2, N - 1]
    with pytest.raises(SettingError, match="every frame is labelled"):
        label_next([clip(signs(), labelled=tuple(range(N)))], 1)
    with pytest.raises(SettingError, match="0 frames are wanted"):
        label_next([small], 0)
