"""Mistakes of labelled clips, each told in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskscope.errors import DatasetError
from maskscope.training.checks import check_clip, matched, renumbered
from maskscope.training.corpus import read_labels

FRAME = np.zeros((20, 30, 3), np.uint8)


def square(left: int, label: int = 1, canvas: np.ndarray | None = None) -> np.ndarray:
    mask = np.zeros((20, 30), np.uint8) if canvas is None else canvas.copy()
    mask[5:15, left : left + 10] = label
    return mask


def test_a_good_clip_passes_with_objects_that_come_and_go() -> None:
    both = square(15, 2, square(0))
    check_clip("clip", [FRAME] * 4, [square(0), both, square(16, 2), square(17, 2)])


@pytest.mark.parametrize(
    ("frames", "masks", "problem"),
    [
        ([FRAME], [square(0)], "clip has 1 labelled frame, expected 2 or more"),
        ([FRAME, FRAME[:10]], [square(0)] * 2, "frame 1 of clip is 30x10, its first frame is 30x20"),
        ([FRAME] * 2, [square(0), square(0)[:, :20]], "mask 1 of clip is 20x20, its first frame is 30x20"),
        ([FRAME] * 2, [np.zeros((20, 30), np.uint8)] * 2, "all masks of clip are empty"),
        ([FRAME] * 3, [square(0), square(1), square(2, 7)], "object 1 of clip is called 7 from frame 2 on"),
    ],
    ids=["one frame", "two sizes", "mask size", "empty", "ids change"],
)
def test_mistakes(frames: list[np.ndarray], masks: list[np.ndarray], problem: str) -> None:
    with pytest.raises(DatasetError, match=problem):
        check_clip("clip", frames, masks)


def test_two_objects_that_swap_numbers_are_found_and_one_that_passes_another_is_not() -> None:
    before = square(15, 2, square(0))
    assert renumbered(before, square(15, 1, square(0, 2))) == (1, 2)
    assert renumbered(before, square(12, 2, square(0))) is None
    assert renumbered(square(0), square(15, 2)) is None


def test_frames_and_masks_go_together_by_name() -> None:
    frames, masks = {"b": Path("b.jpg"), "a": Path("a.jpg")}, {"a": Path("a.png"), "b": Path("b.png")}
    assert matched("clip", frames, masks) == ([Path("a.jpg"), Path("b.jpg")], [Path("a.png"), Path("b.png")])
    with pytest.raises(DatasetError, match=r"a mask for every frame, got 2 and 1 \(without a partner: b\)"):
        matched("clip", frames, {"a": Path("a.png")})


def test_an_indexed_mask_is_read_by_its_indices(tmp_path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(square(3, 2), "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.png"), square(3, 2))


def test_a_mask_painted_in_the_palette_is_read_by_its_colours(tmp_path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(square(3, 2), "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.convert("RGBA").save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.png"), square(3, 2))
    Image.fromarray(square(3, 2) * 100).convert("RGB").save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "grey.png"), square(3, 2) * 100)
