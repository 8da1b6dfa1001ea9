"""The image predictor against the parts it is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from maskscope.errors import PromptError, ShapeError
from maskscope.model import SAM2
from maskscope.tracking.image import ImagePredictor
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD
from random_models import moving_square, random_model

IMAGE = moving_square(1, 90, 160)[0]


@pytest.fixture(scope="module")
def model() -> SAM2:
    return random_model()


@pytest.fixture(scope="module")
def predictor(model: SAM2) -> ImagePredictor:
    predictor = ImagePredictor(model)
    predictor.set_image(IMAGE)
    return predictor


@torch.inference_mode()
def test_equals_the_decoder_on_bare_features(model: SAM2, predictor: ImagePredictor) -> None:
    out = predictor.predict([(50, 30), (100.5, 60)], [1, 0], multimask=False)
    pixels = torch.from_numpy(IMAGE).permute(2, 0, 1)[None].float() / 255
    pixels = F.interpolate(pixels, size=(128, 128), mode="bilinear", align_corners=False, antialias=True)
    pixels = (pixels - torch.tensor(IMAGE_MEAN)[:, None, None]) / torch.tensor(IMAGE_STD)[:, None, None]
    points = torch.tensor([[[50 * 128 / 160, 30 * 128 / 90], [100.5 * 128 / 160, 60 * 128 / 90]]])
    decoded = model.decode_candidates(
        model.condition_on_memory(model.encode_image(pixels), None),
        model.encode_prompts(points, torch.tensor([[1, 0]]), None, batch=1),
        multimask=False,
    )
    torch.testing.assert_close(out.low_res_logits, decoded.mask_logits_bmhw[0].clamp(-32, 32), rtol=0, atol=1e-3)
    assert out.predicted_iou == pytest.approx(decoded.predicted_iou_bm[0].numpy(), abs=1e-5)
    logits = F.interpolate(decoded.mask_logits_bmhw, size=(90, 160), mode="bilinear", align_corners=False)[0]
    assert (out.masks != (logits > 0).numpy()).mean() < 1e-3
    assert out.masks.shape == (1, 90, 160)
    assert out.object_score_logit == pytest.approx(decoded.object_score_logits_b.item(), abs=1e-4)


def test_three_candidates_and_the_best(predictor: ImagePredictor) -> None:
    out = predictor.predict([(50, 30)])
    assert out.masks.shape == (3, 90, 160)
    assert out.predicted_iou.shape == (3,)
    assert out.low_res_logits.shape == (3, 32, 32)
    assert np.array_equal(out.best, out.masks[out.predicted_iou.argmax()])


def test_a_box_with_points(predictor: ImagePredictor) -> None:
    box = (30, 20, 90, 70)
    alone = predictor.predict(box_xyxy_px=box, multimask=False)
    with_point = predictor.predict([(100, 80)], [0], box, multimask=False)
    assert not torch.equal(alone.low_res_logits, with_point.low_res_logits)


def test_a_correction_starts_from_the_earlier_mask(predictor: ImagePredictor) -> None:
    first = predictor.predict([(50, 30)])
    start = first.low_res_logits[int(first.predicted_iou.argmax())]
    refined = predictor.predict([(50, 30), (120, 20)], [1, 0], start_logits=start, multimask=False)
    afresh = predictor.predict([(50, 30), (120, 20)], [1, 0], multimask=False)
    assert not torch.equal(refined.low_res_logits, afresh.low_res_logits)


def test_absent_objects_are_not_silenced_in_images() -> None:
    predictor = ImagePredictor(random_model(object_score_bias=-5.0))
    predictor.set_image(IMAGE)
    out = predictor.predict([(50, 30)])
    assert out.object_score_logit < 0
    assert out.low_res_logits.min() > -1024
    assert out.low_res_logits.std() > 0


def test_one_image_after_the_other(model: SAM2) -> None:
    predictor, fresh = ImagePredictor(model), ImagePredictor(model)
    predictor.set_image(IMAGE)
    other = moving_square(1, 64, 64, seed=5)[0]
    for each in (predictor, fresh):
        each.set_image(other)
    a, b = (each.predict([(20, 20)]) for each in (predictor, fresh))
    assert np.array_equal(a.masks, b.masks)
    assert a.masks.shape == (3, 64, 64)


def test_what_is_refused(model: SAM2, predictor: ImagePredictor) -> None:
    with pytest.raises(PromptError, match="there is no image; call set_image first"):
        ImagePredictor(model).predict([(3, 3)])
    with pytest.raises(PromptError, match="lies outside the frame of 160 x 90"):
        predictor.predict([(160, 3)])
    with pytest.raises(PromptError, match="is empty"):
        predictor.predict()
    with pytest.raises(ShapeError):
        ImagePredictor(model).set_image(IMAGE[..., 0])
