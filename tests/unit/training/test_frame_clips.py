"""Clips from one labelled picture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.errors import DatasetError
from maskscope.training import frame_clips
from maskscope.training.appearance import AppearanceRange
from maskscope.training.frame_clips import LEAST_SEEN, FrameClips

SIZE = (48, 64)
RED, BLUE = (230, 20, 20), (20, 20, 230)


def labels_of_two() -> NDArray[np.uint8]:
    labels = np.zeros((96, 128), np.uint8)
    labels[30:60, 20:50] = 1
    labels[40:70, 80:110] = 2
    return labels


def picture(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A red and a blue square on a green gradient."""
    rgb = np.zeros((*labels.shape, 3), np.uint8)
    rgb[..., 1] = np.linspace(60, 160, labels.shape[1]).astype(np.uint8)
    rgb[labels == 1], rgb[labels == 2] = RED, BLUE
    return rgb


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours stay, so that they tell what is shown."""
    monkeypatch.setattr(
        frame_clips, "APPEARANCE", AppearanceRange(colour=0, grey=0, light=0, blur=0, noise=0, compression=0)
    )


def clips(**settings: object) -> FrameClips:
    labels = labels_of_two()
    return FrameClips(picture(labels), labels, **settings)  # type: ignore[arg-type]


@pytest.mark.usefixtures("plain")
def test_masks_are_where_the_object_is_shown_and_both_objects_are_followed() -> None:
    followed, kinds = set(), set()
    for index in range(40):
        clip = clips().sample(index, 3, SIZE)
        assert clip.frames.shape == (3, *SIZE, 3)
        assert clip.masks.shape == (3, *SIZE)
        kinds.add(clip.kind)
        red, blue = ((clip.frames[..., c].astype(int) - clip.frames[..., 2 - c]) > 120 for c in (0, 2))
        shown = [(clip.masks & colour).sum() for colour in (red, blue)]
        which = int(np.argmax(shown))
        followed.add(which)
        inside = np.stack([red, blue])[which][clip.masks].mean()
        assert inside > 0.8, "the mask is of one object, but for its outline"
        outside = np.stack([red, blue])[which][~clip.masks].mean()
        assert outside < 0.02, "and of all of it: the hole it left is filled in"
        other = np.stack([blue, red])[which]
        assert not (clip.masks & other).any() or clip.kind == "apart", "only what moves by itself can cover the other"
    assert followed == {0, 1}
    assert kinds == {"apart", "whole"}


def test_the_same_number_gives_the_same_clip_and_another_seed_another() -> None:
    one, again, other = (clips(seed=seed).sample(7, 3, SIZE) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.frames, again.frames)
    np.testing.assert_array_equal(one.masks, again.masks)
    assert not np.array_equal(one.frames, other.frames)


@pytest.mark.usefixtures("plain")
def test_about_half_begin_with_the_picture_itself_and_all_with_enough_of_the_object() -> None:
    as_it_is = 0
    small = picture(labels_of_two())[::2, ::2]
    for index in range(60):
        clip = clips().sample(index, 2, SIZE)
        as_it_is += int(np.abs(clip.frames[0].astype(int) - small).mean() < 3)
        assert clip.masks[0].mean() > 0.9 * LEAST_SEEN * (labels_of_two() == 1).mean()
    assert 20 <= as_it_is <= 45


def test_an_object_at_the_edge_that_fills_half_the_picture_and_one_of_few_pixels() -> None:
    for box in (np.s_[:, :70], np.s_[0:2, 0:3], np.s_[95:96, 127:128]):
        labels = np.zeros((96, 128), np.uint8)
        labels[box] = 5
        labels[50, 50] = 255  # void is no object
        for index in range(8):
            assert FrameClips(picture(labels), labels).sample(index, 3, (96, 128)).masks[0].any()


def test_a_picture_without_an_object_is_refused() -> None:
    labels = np.zeros((96, 128), np.uint8)
    with pytest.raises(DatasetError, match="shows no object"):
        FrameClips(picture(labels), labels).sample(0, 2, SIZE)
