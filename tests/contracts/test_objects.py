"""Objects are tracked as a batch, each as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import PromptError
from maskscope.model import SAM2
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import OVERLAPPED_LOGIT, FrameResult, keep_strongest
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from random_models import moving_square, random_model, square_mask

FRAMES = moving_square(12)
POINT = Prompt(1, points_xy_px=[(45, 45)])
BOX = Prompt(5, box_xyxy_px=(30, 30, 70, 66))
MASK = Prompt(3, mask=square_mask(0))
EXACT = SessionOptions(memory_dtype=torch.float64)  # nothing is rounded, so float noise stays float noise


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model().set_precision(torch.float64)


def run(model: SAM2, prompts: dict[int, list[Prompt]], removed: dict[int, int] | None = None) -> list[FrameResult]:
    """All frames, with prompts and removals by frame."""
    tracker, results = Tracker(model, options=EXACT), []
    for index, frame in enumerate(FRAMES):
        if removed and index in removed:
            tracker.remove(removed[index])
        results.append(tracker.step(frame, prompts.get(index, ())))
    return results


def assert_close(several: list[FrameResult], alone: list[FrameResult], object_id: int) -> None:
    for a, b in zip(several, alone, strict=True):
        assert (object_id in a.objects) == (object_id in b.objects)
        if object_id in a.objects:
            x, y = a.objects[object_id], b.objects[object_id]
            assert x.chosen == y.chosen
            torch.testing.assert_close(x.mask_logits_hw, y.mask_logits_hw, rtol=0, atol=1e-7)
            torch.testing.assert_close(x.pointer_c, y.pointer_c, rtol=0, atol=1e-8)


def test_a_batch_equals_one_by_one(model: SAM2) -> None:
    several = run(model, {0: [POINT, BOX, MASK]})
    assert several[0].object_ids == (1, 5, 3)
    for prompt in (POINT, BOX, MASK):
        assert_close(several, run(model, {0: [prompt]}), prompt.object_id)


def test_objects_go_through_the_model_as_a_batch(model: SAM2) -> None:
    seen: list[Observation] = []
    tracker = Tracker(model, observers=[seen.append])
    tracker.step(FRAMES[0], [POINT, BOX, MASK])
    seen.clear()
    tracker.step(FRAMES[1])
    batches = [(o.stage, o.object_ids, len(o.output)) for o in seen]
    assert batches == [
        ("image_embedding", (), 1),
        ("memory_conditioned", (1, 5, 3), 3),
        ("prompt_attended", (1, 5, 3), 3),
        ("object_pointer", (1, 5, 3), 3),
        ("memory_features", (1, 5, 3), 3),
    ]


def test_an_object_added_later_disturbs_nobody(model: SAM2) -> None:
    late = Prompt(5, box_xyxy_px=(36, 34, 76, 70))
    several = run(model, {0: [POINT, MASK], 4: [late]})
    assert several[3].object_ids == (1, 3)
    assert several[4].object_ids == (1, 3, 5)
    for object_id, prompts in {1: {0: [POINT]}, 3: {0: [MASK]}, 5: {4: [late]}}.items():
        assert_close(several, run(model, prompts), object_id)


def test_an_object_removed_disturbs_nobody(model: SAM2) -> None:
    several = run(model, {0: [POINT, BOX, MASK]}, removed={5: 5})
    assert several[4].object_ids == (1, 5, 3)
    assert several[5].object_ids == (1, 3)
    assert_close(several, run(model, {0: [POINT]}), 1)
    assert_close(several, run(model, {0: [MASK]}), 3)


def test_a_removed_object_can_come_back_afresh(model: SAM2) -> None:
    again = Prompt(1, points_xy_px=[(50, 48)])
    several = run(model, {0: [POINT, MASK], 6: [again]}, removed={6: 1})
    alone = run(model, {6: [again]})
    assert_close(several[6:], alone[6:], 1)
    assert_close(several, run(model, {0: [MASK]}), 3)


def test_removing_who_is_not_there(model: SAM2) -> None:
    tracker = Tracker(model)
    tracker.step(FRAMES[0], [POINT])
    with pytest.raises(PromptError, match="there is no object 9; known objects: 1"):
        tracker.remove(9)


def test_a_prompt_in_mid_stream_joins_what_is_remembered(model: SAM2) -> None:
    """Prompted again on a later frame: both prompts are read from then on."""
    again = Prompt(1, mask=square_mask(6))
    results = run(model, {0: [POINT], 6: [again]})
    assert (results[6].masks[0] == square_mask(6)).mean() > 0.99
    only_first, only_second = run(model, {0: [POINT]}), run(model, {6: [again]})
    assert_close(results[:6], only_first[:6], 1)
    for other in (only_first, only_second):
        assert not torch.allclose(results[8].mask_logits_nhw, other[8].mask_logits_nhw, atol=1e-3)


def test_outputs_that_do_not_overlap(model: SAM2) -> None:
    prompts = [POINT, BOX, MASK]
    free = Tracker(model, options=SessionOptions(memory_dtype=torch.float64))
    disjoint = Tracker(model, options=SessionOptions(memory_dtype=torch.float64, non_overlapping=True))
    overlaps = 0
    for index, frame in enumerate(FRAMES[:6]):
        a, b = (tracker.step(frame, prompts if index == 0 else ()) for tracker in (free, disjoint))
        overlaps += int((a.masks.sum(0) > 1).sum())
        assert b.masks.sum(0).max() <= 1
        assert np.array_equal(b.masks.any(0), a.masks.any(0)), "every pixel stays with somebody"
        for x, y in zip(a.objects.values(), b.objects.values(), strict=True):
            assert torch.equal(x.mask_logits_hw, y.mask_logits_hw), "what is remembered is not touched"
    assert overlaps > 0, "the test would show nothing"


def test_the_strongest_keeps_a_pixel() -> None:
    logits = torch.tensor([[[3.0, -1.0, 2.0, -20.0]], [[1.0, 5.0, -3.0, -15.0]]])
    kept = keep_strongest(logits)
    low = OVERLAPPED_LOGIT
    assert kept.tolist() == [[[3.0, low, 2.0, -20.0]], [[low, 5.0, low, -15.0]]]
    assert keep_strongest(logits[:1]).tolist() == [[[3.0, -1.0, 2.0, -20.0]]], "one object alone keeps all"
