"""What happens on a prompted frame: one batch for all objects, all candidates in the answer, no work for nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import PromptError
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.tracking.holes import FILLED_LOGIT, fill_holes
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from random_models import moving_square, random_model, square_mask

FRAMES = moving_square(4)
HEIGHT, WIDTH = FRAMES[0].shape[:2]
OBJECTS = [
    Prompt(1, points_xy_px=[(45, 45)]),
    Prompt(2, mask=square_mask(0)),
    Prompt(3, points_xy_px=[(20, 60)]),
    Prompt(4, box_xyxy_px=(30, 30, 70, 70)),
    Prompt(5, mask=square_mask(0)[::-1].copy()),
]


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model()


def test_objects_prompted_together_are_prompted_as_alone(model: SAM2) -> None:
    together = Tracker(model).step(FRAMES[0], OBJECTS)
    assert together.object_ids == (1, 2, 3, 4, 5)
    for prompt in OBJECTS:
        alone = Tracker(model).step(FRAMES[0], [prompt]).objects[prompt.object_id]
        found = together.objects[prompt.object_id]
        torch.testing.assert_close(found.mask_logits_hw, alone.mask_logits_hw, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(found.pointer_c, alone.pointer_c, atol=1e-3, rtol=1e-3)


def test_equal_prompts_are_one_batch(model: SAM2, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    decode = SAM2.decode_candidates

    def counted(self: SAM2, conditioned: object, prompt: object, multimask: bool) -> object:
        sizes.append(len(conditioned.embedding_bchw))  # type: ignore[attr-defined]  # ConditionedFeatures
        return decode(self, conditioned, prompt, multimask)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(SAM2, "decode_candidates", counted)
    Tracker(model).step(FRAMES[0], OBJECTS)
    assert sorted(sizes) == [1, 2, 2], "two masks, two single clicks, one box"


def test_a_click_answers_with_all_candidates(model: SAM2) -> None:
    result = Tracker(model).step(FRAMES[0], OBJECTS)
    assert [len(result.objects[i].candidate_iou_m) for i in result.object_ids] == [3, 1, 3, 1, 1]
    clicked = result.objects[1]
    assert clicked.chosen == int(clicked.candidate_iou_m.argmax())
    assert torch.equal(clicked.mask_logits_hw, clicked.candidate_logits_mhw[clicked.chosen])


def test_a_mask_too_small_for_the_model_is_refused(model: SAM2) -> None:
    frame = np.zeros((1080, 1920, 3), np.uint8)
    mask = np.zeros((1080, 1920), bool)
    mask[500:502, 700:703] = True
    tracker = Tracker(model)
    with pytest.raises(PromptError, match="so small that nothing is left"):
        tracker.step(frame, [Prompt(1, mask=mask)])
    assert tracker.frame_index == -1
    assert tracker.session.tracks == {}


def test_frames_are_encoded_only_when_something_needs_them(model: SAM2, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    encode = SAM2.encode_image

    def counted(self: SAM2, images: torch.Tensor) -> ImageFeatures:
        nonlocal count
        count += 1
        return encode(self, images)

    monkeypatch.setattr(SAM2, "encode_image", counted)
    tracker = Tracker(model)
    tracker.step(FRAMES[0])
    assert count == 0, "nothing to follow"
    tracker.step(FRAMES[1], [OBJECTS[0]])
    assert count == 1
    tracker.step(FRAMES[2])
    assert count == 2
    tracker.correct([OBJECTS[1]])
    assert count == 2, "the frame at hand is encoded already"


def test_a_failed_step_leaves_the_frame_to_be_tried_again(model: SAM2, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Tracker(model)
    tracker.step(FRAMES[0], [OBJECTS[1]])
    with monkeypatch.context() as broken:
        broken.setattr(SAM2, "encode_image", lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
        with pytest.raises(RuntimeError):
            tracker.step(FRAMES[1])
    assert tracker.frame_index == 0
    whole = Tracker(model)
    whole.step(FRAMES[0], [OBJECTS[1]])
    again, expected = tracker.step(FRAMES[1]), whole.step(FRAMES[1])
    assert again.frame_index == 1
    assert torch.equal(again.objects[2].mask_logits_hw, expected.objects[2].mask_logits_hw)


def test_small_holes_are_filled_and_large_ones_are_not() -> None:
    logits = torch.full((16, 16), 5.0)
    logits[2:4, 2:4] = -3.0  # 4 pixels
    logits[8:12, 8:12] = -3.0  # 16 pixels
    filled = fill_holes(logits, 8)
    assert torch.all(filled[2:4, 2:4] == FILLED_LOGIT)
    assert torch.all(filled[8:12, 8:12] == -3.0)
    assert torch.equal(fill_holes(logits, 3), logits)
    assert torch.all(fill_holes(torch.full((4, 4), -1.0), 8) == -1.0), "an empty mask of many pixels is no hole"


def test_holes_are_filled_in_what_comes_out_and_not_in_tracked_memory(model: SAM2) -> None:
    plain, filling = Tracker(model), Tracker(model, options=SessionOptions(fill_holes_px=10**6))
    for tracker in (plain, filling):
        tracker.step(FRAMES[0], [OBJECTS[1]])
        tracker.step(FRAMES[1])
    a, b = (tracker.session.tracks[2].bank.tracked[1] for tracker in (plain, filling))
    assert b.mask_logits_hw is not None
    assert bool((b.mask_logits_hw > 0).all()), "every hole of any size is filled"
    assert a.features_khw is not None
    assert b.features_khw is not None
    assert torch.equal(a.features_khw, b.features_khw)


def test_masks_written_to_memory_can_be_kept_apart(model: SAM2) -> None:
    prompts = [Prompt(1, mask=square_mask(0)), Prompt(2, mask=square_mask(0))]
    shared, apart = Tracker(model), Tracker(model, options=SessionOptions(non_overlapping_memory=True))
    for tracker in (shared, apart):
        tracker.step(FRAMES[0], prompts)
    first, second = (tracker.session.tracks[2].bank.prompted[0].features_khw for tracker in (shared, apart))
    assert first is not None
    assert second is not None
    assert not torch.equal(first, second), "the second object loses its pixels to the first"


def test_a_prompt_can_clear_the_memories_around_it(model: SAM2) -> None:
    options = SessionOptions(clear_around_prompts=True)
    tracker = Tracker(model, options=options)
    tracker.step(FRAMES[0], [OBJECTS[1]])
    tracker.step(FRAMES[1])
    tracker.step(FRAMES[2])
    assert set(tracker.session.tracks[2].bank.tracked) == {1, 2}
    tracker.step(FRAMES[3], [OBJECTS[1]])
    assert set(tracker.session.tracks[2].bank.tracked) == set()
    assert set(tracker.session.tracks[2].bank.prompted) == {0, 3}


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt("dog", points_xy_px=[(1, 1)]), "object ids are whole numbers"),  # type: ignore[arg-type]  # the mistake
        (Prompt(1.5, points_xy_px=[(1, 1)]), "object ids are whole numbers"),  # type: ignore[arg-type]  # the mistake
        (Prompt(1, points_xy_px=[(1, 1, 1)]), r"a point is \(x, y\)"),  # type: ignore[list-item]  # the mistake
    ],
)
def test_prompts_of_other_types_are_refused(model: SAM2, prompt: Prompt, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        Tracker(model).step(FRAMES[0], [prompt])


def test_labels_may_be_an_array(model: SAM2) -> None:
    prompt = Prompt(1, points_xy_px=[(45, 45), (10, 10)], labels=np.array([1, 0]))  # type: ignore[arg-type]  # works
    assert Tracker(model).step(FRAMES[0], [prompt]).object_ids == (1,)
