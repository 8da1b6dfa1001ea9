"""A hidden target is in no mask, what hides it is in the picture, and nothing else changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from maskscope.training.clips import ClipConfig, ClipSampler
from maskscope.training.corpus import Corpus
from maskscope.training.hiding import cut_away, pass_before

PHOTO = np.full((20, 30, 3), (0, 0, 250), np.uint8)


def clip() -> tuple[np.ndarray, np.ndarray]:
    """Six frames of grey with a red square of 16 x 16 that moves 4 pixels a frame."""
    frames = np.full((6, 64, 96, 3), 90, np.uint8)
    masks = np.zeros((6, 64, 96), bool)
    for t in range(6):
        masks[t, 24:40, 20 + 4 * t : 36 + 4 * t] = True
        frames[t][masks[t]] = (200, 30, 30)
    return frames, masks


def test_a_cut_shows_other_footage_in_turn_and_no_target() -> None:
    frames, masks = clip()
    before, other = frames.copy(), np.full((20, 30, 3), 7, np.uint8)
    cut_away(frames, masks, [PHOTO, other], 2, 5)
    assert [int(frames[t].max()) for t in (2, 3, 4)] == [250, 7, 250]
    assert [bool(masks[t].any()) for t in range(6)] == [True, True, False, False, False, True]
    np.testing.assert_array_equal(frames[[0, 1, 5]], before[[0, 1, 5]])


@pytest.mark.parametrize("seed", range(8))
def test_what_passes_before_hides_all_of_the_target_on_its_frames_only(seed: int) -> None:
    frames, masks = clip()
    before, whole = frames.copy(), masks.copy()
    pass_before(np.random.default_rng(seed), frames, masks, PHOTO, 2, 4)
    blue = frames[..., 2] == 250
    assert not masks[2:4].any()
    assert (blue[2:4] | ~whole[2:4]).all(), "every pixel of the target is covered"
    np.testing.assert_array_equal(masks, whole & ~blue)
    np.testing.assert_array_equal(frames[[0, 5]], before[[0, 5]])
    np.testing.assert_array_equal(frames[~blue], before[~blue])


@pytest.mark.parametrize("seed", range(4))
def test_what_passes_slowly_covers_more_from_frame_to_frame_and_then_less(seed: int) -> None:
    frames = np.full((12, 64, 96, 3), 90, np.uint8)
    masks = np.zeros((12, 64, 96), bool)
    masks[:, 24:40, 40:56] = True
    pass_before(np.random.default_rng(seed), frames, masks, PHOTO, 5, 7, near=4)
    seen = masks.sum((1, 2))
    assert seen[0] == 256
    assert not seen[5:7].any()
    assert list(seen[1:5]) == sorted(seen[1:5], reverse=True)
    assert list(seen[7:11]) == sorted(seen[7:11])
    assert 0 < seen[3] < 256, "partly covered for more than a frame"
    assert (frames[1:11, ..., 2] == 250).any((1, 2)).sum() >= 6
    assert seen[11] == 256


@pytest.mark.parametrize("kind", ["video", "still"])
def test_a_sampler_hides_the_target_as_often_as_it_was_told(corpus: Corpus, kind: str) -> None:
    weights = {name: float(name == kind) for name in ("video", "still", "paste")}

    def absent(hiding: float) -> int:
        sampler = ClipSampler(corpus, ClipConfig(**weights, intruder=0.0, hiding=hiding), seed=5)
        clips = [sampler.sample(index, 4, (64, 96)) for index in range(16)]
        assert all(each.masks[0].any() for each in clips)
        return sum(not each.masks[1:].any((1, 2)).all() for each in clips)

    assert absent(1.0) == 16
    assert absent(0.0) <= 2, "only what moves out of the frame"


@pytest.mark.parametrize("kind", ["video", "paste"])
def test_a_hidden_target_comes_back_before_the_end_if_told(corpus: Corpus, kind: str) -> None:
    weights = {name: float(name == kind) for name in ("video", "still", "paste")}
    config = ClipConfig(**weights, intruder=0.0, hiding=1.0, absence=1.0, returns=1.0)
    gaps = [ClipSampler(corpus, config, seed=5)._absence(np.random.default_rng(i), 8) for i in range(200)]
    assert all(1 <= begin < end < 8 for begin, end in gaps)
    assert max(end - begin for begin, end in gaps) == 6
    clips = [ClipSampler(corpus, config, seed=5).sample(index, 5, (64, 96)) for index in range(10)]
    seen = [clip.masks.any((1, 2)) for clip in clips]
    assert sum(not each.all() and bool(each[-1]) for each in seen) >= 8


def test_a_clip_is_not_cut_away_to_itself(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two videos, the one that it shows is drawn again; the only one is replaced by a photo, or by black."""
    drawn = iter(["own", "own", "other"])
    monkeypatch.setattr(ClipSampler, "_video_name", lambda *_: next(drawn))
    monkeypatch.setattr(ClipSampler, "_stretch", lambda self, rng, n, store, name: ([name] * n, []))
    sampler = ClipSampler(dataclasses.replace(corpus, videos=("own", "other")), ClipConfig())
    assert sampler._foreign(np.random.default_rng(0), 2, (), "own") == ["other", "other"]
    alone = ClipSampler(dataclasses.replace(corpus, videos=("own",)), ClipConfig())
    photo = f"{corpus.objects[0]}/image"
    shown = alone._foreign(np.random.default_rng(0), 2, (photo,), "own")
    np.testing.assert_array_equal(shown[0], corpus.store[photo])
    assert not np.any(alone._foreign(np.random.default_rng(0), 2, (), "own"))
