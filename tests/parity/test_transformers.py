"""Step by step and stage by stage against transformers' `Sam2VideoModel` with the same weights.

`transformers_side` lists where transformers itself deviates from the official predictor, and undoes it there;
`test_through_its_own_door` shows that nothing else is needed where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from our_side import OurTracker
from torch.nn import functional as F
from transformers import Sam2VideoModel
from transformers_side import Stages, TransformersTracker, transformers_model

from maskscope.model import PRESETS, SAM2
from maskscope.tracking.picture import RgbFrame
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.video_tracker import VideoTracker
from random_models import moving_square, random_model, small_config, square_mask

# In the order in which they are computed; tolerances are absolute, for float32 and float64, the values being of order
# 1 to 30, and some ten times what the small model shows. float64 is limited by transformers' float32 parts.
STAGES: dict[str, tuple[float, float]] = {
    "image_embedding": (5e-5, 1e-6),
    "memory_conditioned": (1e-4, 5e-6),
    "prompt_attended": (1e-3, 1e-4),
    "candidate_logits": (1e-2, 5e-4),
    "predicted_iou": (1e-4, 5e-6),
    "mask_logits": (1e-2, 5e-4),
    "object_score": (1e-3, 5e-5),
    "object_pointer": (1e-3, 5e-5),
    "memory_features": (2e-3, 2e-4),  # and a step of bfloat16, in which both are at rest
    "video_logits": (1e-2, 5e-4),
}
REQUIRED = {"image_embedding", "prompt_attended", "mask_logits", "object_score", "object_pointer", "memory_features"}
BFLOAT16_STEP = 2**-7  # relative


@dataclass(frozen=True)
class Say:
    """Prompt an object on a frame."""

    frame: int
    prompt: Prompt


@dataclass(frozen=True)
class Track:
    """Track all objects on a frame."""

    frame: int
    reverse: bool = False


Step = Say | Track


def differences(ours: Stages, theirs: Stages, precise: bool, slack: float) -> Iterator[str]:
    """A line for each stage that differs by more than its tolerance, in the order in which they are computed."""
    for stage, tolerances in STAGES.items():
        if stage not in theirs:
            assert stage not in REQUIRED, f"transformers' {stage} was not written down"
            continue
        assert stage in ours, f"our {stage} was not written down"
        a, b = ours[stage].double(), theirs[stage].double()
        assert a.shape == b.shape, f"{stage}: ours is {tuple(a.shape)}, transformers' {tuple(b.shape)}"
        allowed = slack * tolerances[precise] + (BFLOAT16_STEP * b.abs() if stage == "memory_features" else 0)
        excess = ((a - b).abs() - allowed).max().item()
        if not excess <= 0:
            yield f"{stage} differs by {(a - b).abs().max():.2e} (values up to {b.abs().max():.3g})"


def compare(
    model: SAM2,
    frames: Sequence[RgbFrame],
    steps: Sequence[Step],
    reference: Sam2VideoModel | None = None,
    slack: float = 1.0,
) -> None:
    """Fail with the first stage of the first step that differs; `slack` multiplies the tolerances."""
    reference = reference or transformers_model(model)
    ours, theirs = OurTracker(model, frames), TransformersTracker(reference, frames)
    for number, step in enumerate(steps):
        if isinstance(step, Say):
            expected = theirs.prompt(step.frame, step.prompt)
            got = ours.prompt(step.frame, step.prompt, expected[step.prompt.object_id]["mask_logits"])
        else:
            expected, got = theirs.track(step.frame, step.reverse), ours.track(step.frame, step.reverse)
        assert list(got) == list(expected), "other objects"
        for object_id, stages in expected.items():
            found = list(differences(got[object_id], stages, model.fine_dtype == torch.float64, slack))
            if found:
                pytest.fail(
                    f"step {number} ({type(step).__name__} frame {step.frame}), object {object_id}: the first stage "
                    f"that differs is {found[0]}; all that differ: {'; '.join(found)}"
                )
        ours.take_over(step.frame, expected)


def forward(start: int, stop: int) -> list[Step]:
    return [Track(t) for t in range(start, stop)]


def backward(start: int, stop: int) -> list[Step]:
    return [Track(t, reverse=True) for t in range(start, stop, -1)]


POINT = Prompt(1, points_xy_px=[(45, 45)])
BOX = Prompt(2, box_xyxy_px=(30, 30, 70, 66))
BOX_AND_POINT = Prompt(2, points_xy_px=[(50, 40), (90, 90)], labels=[1, 0], box_xyxy_px=(30, 30, 70, 66))

SCENARIOS: dict[str, list[Step]] = {
    "point": [Say(0, POINT), *forward(1, 10)],
    "two points": [Say(0, Prompt(1, points_xy_px=[(45, 45), (100, 20)], labels=[1, 0])), *forward(1, 4)],
    "box": [Say(0, BOX), *forward(1, 5)],
    "box and points": [Say(0, BOX_AND_POINT), *forward(1, 5)],
    "mask": [Say(0, Prompt(1, mask=square_mask(0))), *forward(1, 10)],
    "refined before tracking": [
        Say(0, POINT),
        Say(0, Prompt(1, points_xy_px=[(60, 58)], labels=[0], keep_earlier=True)),
        Say(0, Prompt(1, points_xy_px=[(40, 40)])),
        *forward(1, 4),
    ],
    "box, then points that keep it": [
        Say(0, BOX),
        Say(0, Prompt(2, points_xy_px=[(60, 58)], labels=[1], keep_earlier=True)),
        *forward(1, 4),
    ],
    "mask, then a point": [Say(0, Prompt(1, mask=square_mask(0))), Say(0, POINT), *forward(1, 4)],
    "several prompted frames": [
        Say(4, POINT),
        Say(1, Prompt(1, mask=square_mask(1))),
        Say(9, Prompt(1, box_xyxy_px=(40, 36, 80, 70))),
        Track(0),
        *forward(2, 4),
        *forward(5, 9),
        *forward(10, 12),
    ],
    "corrected on a tracked frame": [
        Say(0, POINT),
        *forward(1, 5),
        Say(4, Prompt(1, points_xy_px=[(62, 60)], labels=[0])),
        Say(4, Prompt(1, points_xy_px=[(45, 40)], labels=[1], keep_earlier=True)),
        *forward(5, 8),
        Say(3, Prompt(1, box_xyxy_px=(30, 30, 70, 66))),
        *forward(4, 6),
    ],
    "a mask on a tracked frame": [
        Say(0, POINT),
        *forward(1, 5),
        Say(4, Prompt(1, mask=square_mask(4))),
        *forward(5, 8),
    ],
    "refined after tracking": [
        Say(0, POINT),
        *forward(1, 4),
        Say(0, Prompt(1, points_xy_px=[(62, 60)], labels=[0], keep_earlier=True)),
        *forward(1, 4),
    ],
    "several objects": [
        Say(0, POINT),
        Say(0, BOX),
        Say(0, Prompt(9, mask=square_mask(0))),
        *forward(1, 9),
    ],
    "backwards": [Say(9, POINT), *backward(8, -1), *forward(10, 14)],
    "both directions, corrected": [
        Say(6, Prompt(1, mask=square_mask(6))),
        *backward(5, 1),
        *forward(7, 10),
        Say(3, Prompt(1, points_xy_px=[(45, 45)])),
        *backward(2, -1),
    ],
    "longer than every window": [Say(0, POINT), *forward(1, 24)],
}


@pytest.mark.parametrize("family", ["sam2", "sam2.1"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_stage_by_stage(scenario: str, dtype: torch.dtype, family: str) -> None:
    model = random_model(small_config(family)).set_precision(dtype)
    steps = SCENARIOS[scenario]
    compare(model, moving_square(1 + max(step.frame for step in steps)), steps)


@pytest.mark.parametrize("family", ["sam2", "sam2.1"])
def test_absent_objects(family: str) -> None:
    """Nothing is visible: masks are silenced, pointers and (in SAM 2.1) memories are those of absence."""
    model = random_model(small_config(family), object_score_bias=-3.0)
    steps = [Say(0, POINT), Say(0, Prompt(2, mask=square_mask(0))), *forward(1, 5)]
    compare(model, moving_square(5), steps)


def test_a_video_of_other_proportions() -> None:
    """Points, boxes and masks are in pixels of the video, whatever the model's square."""
    model, (height, width) = random_model(), (90, 171)
    mask = square_mask(0, height, width)
    steps = [
        Say(0, Prompt(1, points_xy_px=[(60.5, 30)])),
        Say(0, Prompt(2, box_xyxy_px=(41, 20, 90, 47.5))),
        Say(0, Prompt(3, mask=mask)),
        *forward(1, 4),
    ]
    compare(model, moving_square(4, height, width), steps)


@pytest.mark.parametrize("family", ["sam2", "sam2.1"])
def test_through_its_own_door(family: str) -> None:
    """A clicked object, `forward` and `propagate_in_video_iterator` untouched, each side with its own memories."""
    model = random_model(small_config(family)).set_precision(torch.float64)
    frames = moving_square(6)
    side = TransformersTracker(transformers_model(model), frames)
    side.close()
    index = side.session.obj_id_to_idx(1)
    clicks = {"point_coords": torch.tensor([[[[45.0, 45.0]]]]).double(), "point_labels": torch.tensor([[[1]]])}
    side.session.add_point_inputs(index, 2, clicks)
    side.session.obj_with_new_inputs = [1]
    side.model(side.session, frame_idx=2)
    theirs = {out.frame_idx: out.pred_masks for out in side.model.propagate_in_video_iterator(side.session)}

    tracker = VideoTracker(model, frames, options=SessionOptions())
    tracker.prompt(2, [POINT])
    ours = {result.frame_index: result.mask_logits_nhw for result in tracker.propagate()}
    assert sorted(ours) == sorted(theirs) == [2, 3, 4, 5]
    for t, low in theirs.items():
        logits = F.interpolate(low, size=(128, 128), mode="bilinear", align_corners=False)[:, 0]
        assert torch.allclose(ours[t], logits, rtol=0, atol=0.05), f"frame {t}"  # bfloat16 steps of memory add up


@pytest.mark.parametrize(
    ("weight", "stage"),
    [
        ("vision_encoder.neck.convs.1.bias", "image_embedding"),
        ("memory_attention.layer_norm.bias", "memory_conditioned"),
        ("mask_decoder.transformer.layers.1.layer_norm4.bias", "prompt_attended"),
        ("mask_decoder.upscale_conv2.bias", "candidate_logits"),
        ("mask_decoder.iou_prediction_head.proj_out.bias", "predicted_iou"),
        ("object_pointer_proj.proj_out.bias", "object_pointer"),
        ("memory_encoder.projection.bias", "memory_features"),
    ],
)
def test_a_difference_is_noticed_and_placed(weight: str, stage: str) -> None:
    model = random_model()
    reference = transformers_model(model)
    reference.get_parameter(weight).add_(0.05)
    with pytest.raises(pytest.fail.Exception, match=f"the first stage that differs is {stage} "):
        compare(model, moving_square(2), [Say(0, POINT), Track(1)], reference)


@pytest.mark.slow
@pytest.mark.timeout(900)  # ten seconds alone on two cores
@pytest.mark.parametrize(
    ("preset", "steps"),
    [
        ("sam2.1-hiera-tiny", [Say(0, Prompt(1, points_xy_px=[(150, 90)])), Track(1), Track(2)]),
        ("sam2-hiera-tiny", [Say(0, Prompt(1, mask=square_mask(0, 240, 426))), Track(1)]),
    ],
)
def test_released_configuration(preset: str, steps: list[Step]) -> None:
    """Tiny as released, at 1024 x 1024."""
    frames = moving_square(1 + max(step.frame for step in steps), 240, 426)
    compare(random_model(PRESETS[preset], gain=0.7), frames, steps, slack=5)  # longer sums than the small model's
