"""Clips for observation: stretches, their first masks, and prompts that move with the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.errors import DatasetError, PromptError, SettingError, VideoError
from maskscope.studies.label_store import LabelStore
from maskscope.studies.looked_at import check_objects, look_at, moved_prompts
from maskscope.tracking.prompts import Prompt
from maskscope.transforms.base import ClipFrame

SIZE = (24, 32)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six frames that carry their number as colour; masks beside them, the first two without an object."""
    for part in ("frames", "masks"):
        (tmp_path / part).mkdir()
    for t in range(6):
        Image.fromarray(np.full((*SIZE, 3), 10 * t, np.uint8)).save(tmp_path / "frames" / f"{t:05d}.png")
        labels = np.zeros(SIZE, np.uint8)
        labels[4:8, 4 + t : 10 + t] = 2 * (t > 1)
        Image.fromarray(labels).save(tmp_path / "masks" / f"{t:05d}.png")
    return tmp_path


def test_a_stretch_counts_its_frames_from_zero(clip: Path) -> None:
    seen = look_at(clip / "frames", start=2, max_frames=3)
    assert (seen.num_frames, seen.start, seen.source_frames, seen.size, seen.annotated) == (3, 2, 6, SIZE, False)
    assert [int(seen.frame(t)[0, 0, 0]) for t in range(3)] == [20, 30, 40]
    with pytest.raises(DatasetError, match="without masks"):
        seen.masks(0)
    with pytest.raises(PromptError, match="--point"):
        seen.prompts()


def test_first_masks_are_prompts(clip: Path) -> None:
    seen = look_at(clip / "frames", masks=clip / "masks", start=3)
    (prompt,) = seen.prompts()
    assert prompt.object_id == 2
    assert np.argwhere(prompt.mask)[:, 1].min() == 7


def test_a_first_mask_without_an_object_names_the_frame_that_has_one(clip: Path) -> None:
    with pytest.raises(DatasetError, match="--frame 2"):
        look_at(clip / "frames", masks=clip / "masks").prompts()


def test_an_object_that_is_never_visible_is_refused(clip: Path) -> None:
    with pytest.raises(DatasetError, match="no frame that is looked at shows one"):
        look_at(clip / "frames", masks=clip / "masks", max_frames=2).prompts()


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"start": 6}, VideoError, "has no frame 6"),
        ({"start": 5}, VideoError, "no frame after frame 5"),
        ({"max_frames": 1}, SettingError, "too few"),
    ],
)
def test_stretches_that_do_not_exist(clip: Path, words: dict[str, int], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        look_at(clip / "frames", **words)  # type: ignore[arg-type]


def test_prompts_without_meaning() -> None:
    with pytest.raises(PromptError, match="negative"):
        check_objects([Prompt(1, [(3, 3)], [0])], SIZE)
    with pytest.raises(PromptError, match="255 is out of range"):
        check_objects([Prompt(255, [(3, 3)])], SIZE)
    with pytest.raises(PromptError, match="nothing says"):
        check_objects([], SIZE)


def first_frame(shift: int = 0, hidden: bool = False, time: float = 0.0) -> ClipFrame:
    """Object 1 at rows 4..8, columns 4..10 of the source, shown `shift` pixels further right."""
    labels = np.zeros(SIZE, np.uint8)
    labels[4:8, 4 + shift : 10 + shift] = 1
    matrix = np.array([[1, 0, -shift], [0, 1, 0], [0, 0, 1]], np.float64) if shift else None
    visible = np.where(np.arange(SIZE[1]) < 7, 0, labels).astype(np.uint8) if hidden else labels
    return ClipFrame(np.zeros((*SIZE, 3), np.uint8), visible, labels, source_time=time, to_source=matrix)


MASK = first_frame().amodal_hw == 1


def test_prompts_move_with_the_picture() -> None:
    point, box, mask = moved_prompts(
        [Prompt(1, [(5.0, 6.0)]), Prompt(1, box_xyxy_px=(4, 4, 10, 8)), Prompt(1, mask=MASK)], first_frame(shift=3)
    )
    assert list(point.points_xy_px) == [(8.0, 6.0)]
    assert box.box_xyxy_px == (7.0, 4.0, 13.0, 8.0)
    assert np.array_equal(mask.mask, first_frame(shift=3).amodal_hw == 1)


def test_a_mask_prompt_is_what_is_still_seen() -> None:
    (prompt,) = moved_prompts([Prompt(1, mask=MASK)], first_frame(hidden=True))
    assert np.array_equal(prompt.mask, first_frame(hidden=True).visible_hw == 1)
    assert 0 < prompt.mask.sum() < MASK.sum()


def test_prompts_that_the_first_frame_does_not_show() -> None:
    with pytest.raises(PromptError, match="not the one"):
        moved_prompts([Prompt(1, mask=MASK)], first_frame(time=2.0))
    with pytest.raises(PromptError, match="does not show the place"):
        moved_prompts([Prompt(1, [(20.0, 6.0)])], first_frame(shift=14))


def test_label_maps_are_kept_exactly() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 256, SIZE).astype(np.uint8) for _ in range(20)]
    store = LabelStore()
    for labels in maps:
        labels[0, 0] = 255
        store.append(labels)
    assert len(store) == 20
    for t in (19, 0, 7):
        assert np.array_equal(store[t], maps[t])
        assert np.array_equal(store.masks(t, (3,))[3], maps[t] == 3)
        valid = store.valid(t)
        assert valid is not None
        assert np.array_equal(valid, maps[t] != 255)
