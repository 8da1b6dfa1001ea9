from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskscope.errors import ShapeError
from maskscope.model import PRESETS
from maskscope.tracking import picture
from maskscope.tracking.picture import IMAGE_MEAN, IMAGE_STD, check_frame, frame_tensor, input_size, mask_tensor

CPU = torch.device("cpu")
FRAME = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (32, 96), (37, 53), (20, 30)])
def test_a_frame_is_resized_as_pillow_does(size: tuple[int, int]) -> None:
    """Bit for bit what the reference feeds its model: Pillow's bicubic, / 255, mean and deviation of ImageNet."""
    image = Image.fromarray(FRAME).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
    expected = (pixels - torch.tensor(IMAGE_MEAN)[:, None, None]) / torch.tensor(IMAGE_STD)[:, None, None]
    out = frame_tensor(FRAME, size, CPU, torch.float32)
    assert out.shape == (1, 3, *size)
    assert torch.equal(out[0], expected)


@pytest.mark.parametrize("size", [(20, 30), (64, 92)])
def test_a_model_without_a_reference_gets_nearly_the_same_picture_quickly(size: tuple[int, int]) -> None:
    """PyTorch's resizing of bytes, both sides alike: a level or two of 255 from Pillow's, on few pixels."""
    exact = frame_tensor(FRAME, size, CPU, torch.float32)
    quick = frame_tensor(FRAME, size, CPU, torch.float32, as_pillow=False)
    levels = (exact - quick).abs() * 255 * torch.tensor(IMAGE_STD)[:, None, None]
    assert levels.max() < 2.1
    assert (levels > 0.1).float().mean() < 0.02


def test_only_models_without_a_reference_are_resized_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(picture, "frame_tensor", lambda *_, as_pillow: asked.append(as_pillow))
    for follow in (False, True):
        model = SimpleNamespace(config=SimpleNamespace(follow_aspect=follow), device=CPU, fine_dtype=torch.float32)
        picture.model_input(FRAME, (32, 96), model)  # type: ignore[arg-type]
    assert asked == [True, False]


def test_values_of_a_frame() -> None:
    white = np.full((4, 6, 3), 255, dtype=np.uint8)
    out = frame_tensor(white, (4, 6), CPU, torch.float64)
    expected = [(1 - mean) / std for mean, std in zip(IMAGE_MEAN, IMAGE_STD, strict=True)]
    assert out.dtype == torch.float64
    assert out[0, :, 2, 3].tolist() == pytest.approx(expected, abs=1e-12)


def test_a_frame_is_not_written_to() -> None:
    frozen = FRAME.copy()
    frozen.flags.writeable = False
    frame_tensor(frozen, (37, 53), CPU, torch.float32).mul_(0)
    assert np.array_equal(frozen, FRAME)


@pytest.mark.parametrize(
    "frame",
    [FRAME[..., 0], FRAME[..., :2], FRAME.astype(np.float32), FRAME[:0], np.zeros((4, 4, 4), dtype=np.uint8)],
)
def test_what_is_no_frame(frame: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"expected \(H, W, 3\) uint8 RGB"):
        check_frame(frame)


def test_released_models_take_their_square() -> None:
    assert input_size(PRESETS["sam2.1-hiera-tiny"], 480, 854) == (1024, 1024)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (720, 1280, (352, 640)),
        (1280, 720, (640, 352)),
        (480, 480, (480, 480)),
        (480, 854, (352, 640)),
        (9, 16, (352, 640)),
    ],
)
def test_the_compact_model_takes_the_videos_aspect(height: int, width: int, expected: tuple[int, int]) -> None:
    assert input_size(PRESETS["compact"], height, width) == expected


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_sides_are_multiples_of_32_near_the_area(height: int, width: int) -> None:
    config = replace(PRESETS["compact"], image_size=(320, 320))
    h, w = input_size(config, height, width)
    assert h % 32 == w % 32 == 0
    assert min(h, w) >= 32
    if 0.25 < height / width < 4:
        assert 0.7 < h * w / 320**2 < 1.35


def test_a_mask_of_the_same_size_is_itself() -> None:
    mask = np.zeros((4, 6), dtype=np.int32)
    mask[1:3, 2:5] = 9
    out = mask_tensor(mask, (4, 6), CPU, torch.float64)
    assert out.shape == (1, 1, 4, 6)
    assert out[0, 0].tolist() == (mask > 0).astype(float).tolist()


def test_a_resized_mask_stays_binary_and_in_place() -> None:
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:20, 30:44] = True
    for size in ((80, 120), (20, 30)):
        out = mask_tensor(mask, size, CPU, torch.float32)[0, 0]
        assert set(out.unique().tolist()) == {0.0, 1.0}
        scale = size[0] / 40
        inside = out[int(10 * scale) : int(20 * scale), int(30 * scale) : int(44 * scale)]
        assert inside.mean() > 0.95
        assert abs(out.sum().item() - inside.numel()) <= 0.05 * inside.numel()
