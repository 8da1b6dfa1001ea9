"""The signs against the tracker's own answers, on a small model with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import PromptError
from maskscope.model import SAM2
from maskscope.studies.signs import clip_signs
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from random_models import moving_square, random_model, small_config, square_mask

N, SIDE = 5, 64
FRAMES = moving_square(N, SIDE, SIDE)


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model(small_config(image_size=(SIDE, SIDE)), seed=2)


def at(frame: int, object_id: int = 1) -> list[Prompt]:
    return [Prompt(object_id, mask=square_mask(frame, SIDE, SIDE))]


def test_signs_are_those_of_the_passes(model: SAM2) -> None:
    ticks: list[int] = []
    signs = clip_signs(model, "clip", FRAMES, {0: at(0)}, tick=lambda: ticks.append(1))
    tracker = Tracker(model)
    out = [tracker.step(frame, at(0) if t == 0 else ()).objects[1] for t, frame in enumerate(FRAMES)]
    mine = signs.objects[1]
    expected = [1 - 1 / (1 + np.exp(-found.object_score_logit)) for found in out]
    np.testing.assert_allclose(mine.absence, expected, atol=1e-6)
    np.testing.assert_allclose(mine.doubt, [1 - np.clip(f.predicted_iou, 0, 1) for f in out], atol=1e-6)
    assert mine.disagreement[0] == 0, "there is the truth"
    assert mine.disagreement[-1] < 0.2, "the far end is prompted with its own mask"
    assert ((mine.disagreement >= 0) & (mine.disagreement <= 1)).all()
    there = np.array([bool((f.mask_logits_hw > 0).any()) for f in out])
    np.testing.assert_allclose(np.linalg.norm(mine.looks, axis=1), there.astype(float), atol=1e-5)
    assert mine.strangeness([0])[0] == pytest.approx(0, abs=1e-6)
    assert (mine.strangeness([0, 3]) <= mine.strangeness([0]) + 1e-6).all()
    assert signs.labelled == (0,)
    assert len(ticks) == 2 * N


def test_a_label_in_the_middle_is_followed_to_both_ends_and_back(model: SAM2) -> None:
    signs = clip_signs(model, "clip", FRAMES, {2: at(2)}, labelled=(4,))
    back = Tracker(model)
    found = [back.step(FRAMES[t], at(2) if t == 2 else ()).objects[1] for t in (2, 1, 0)]
    mine = signs.objects[1]
    np.testing.assert_allclose(mine.doubt[:2], [1 - found[2].predicted_iou, 1 - found[1].predicted_iou], atol=1e-5)
    assert signs.labelled == (2, 4)
    assert mine.disagreement[2] == 0


def test_an_object_that_comes_later_shows_nothing_before(model: SAM2) -> None:
    other = Prompt(7, points_xy_px=[(20.0, 20.0)])
    signs = clip_signs(model, "clip", FRAMES, {0: at(0), 3: [other]})
    late = signs.objects[7]
    assert not late.doubt[:3].any()
    assert not late.looks[:3].any()
    assert (late.absence[:3] < 0.001).all()
    assert late.looks[3].any() or late.absence[3] > 0.5


def test_nothing_labelled_is_an_error(model: SAM2) -> None:
    with pytest.raises(PromptError, match="no object of clip is labelled"):
        clip_signs(model, "clip", FRAMES, {0: []})


def test_the_model_is_left_as_it_was(model: SAM2) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    clip_signs(model, "clip", FRAMES[:2], {0: at(0)})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
