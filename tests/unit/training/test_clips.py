"""Clips: the same seed gives the same clip, and the mask is where the target is."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.training.appearance import AppearanceRange
from maskscope.training.clips import Clip, ClipConfig, ClipSampler
from maskscope.training.corpus import Corpus
from maskscope.training.motion import OBJECT, placement, random_motion, translation, window_over
from maskscope.training.scene import Backdrop, Sprite, render
from maskscope.training.sprites import bend

PLAIN = AppearanceRange(colour=0, grey=0, light=0, blur=0, noise=0, compression=0)
SIZE = (64, 96)


def only(kind: str, **changes: float) -> ClipConfig:
    weights = {name: float(name == kind) for name in ("video", "still", "paste")}
    return ClipConfig(**weights, **changes, appearance=PLAIN)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["video", "still", "paste"])
def test_a_clip_is_a_function_of_seed_and_number(corpus: Corpus, kind: str) -> None:
    config = only(kind)
    first = ClipSampler(corpus, config, seed=3).sample(7, 4, SIZE)
    again = ClipSampler(corpus, config, seed=3).sample(7, 4, SIZE)
    other = ClipSampler(corpus, config, seed=3).sample(8, 4, SIZE)
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert first.kind == kind
    assert first.frames.shape == (4, *SIZE, 3)
    assert first.masks.shape == (4, *SIZE)
    assert first.masks[0].mean() >= config.min_target
    assert not np.array_equal(first.frames, other.frames)


def red(clip: Clip) -> np.ndarray:
    frames = clip.frames.astype(int)
    return frames[..., 0] - frames[..., 2] > 60


def test_in_real_video_the_mask_follows_the_object_through_crop_and_flip(corpus: Corpus) -> None:
    sampler = ClipSampler(corpus, only("video", intruder=0.0), seed=0)
    for index in range(12):
        clip = sampler.sample(index, 3, SIZE)
        inside = red(clip)
        union = (inside | clip.masks).sum()
        assert (inside & clip.masks).sum() / union > 0.85, index


def test_pasted_targets_vanish_and_the_mask_says_so(corpus: Corpus) -> None:
    sampler = ClipSampler(corpus, only("paste", absence=1.0, intruder=0.0), seed=1)
    clips = [sampler.sample(index, 4, SIZE) for index in range(20)]
    assert all(clip.masks[0].any() for clip in clips)
    assert sum(not clip.masks[1:].any((1, 2)).all() for clip in clips) >= 10


def test_a_later_sprite_hides_the_target() -> None:
    backdrop = Backdrop([np.zeros((20, 20, 3), np.uint8)], None, np.eye(3)[None])
    full = [np.full((10, 10, 4), 255, np.uint8)]
    shown = np.ones(1, np.bool_)
    target = Sprite(full, (translation(2, 2))[None], shown, is_target=True)
    cover = Sprite(full, (translation(7, 2))[None], shown)
    _, alone = render(backdrop, [target], (20, 20))
    _, before = render(backdrop, [cover, target], (20, 20))
    _, behind = render(backdrop, [target, cover], (20, 20))
    assert 81 <= alone.sum() <= 121
    np.testing.assert_array_equal(alone, before)
    assert alone[0, 6, 4]
    assert not behind[0, 6, 9]
    assert behind[0, 6, 4]


def test_motion_starts_where_the_thing_is_and_is_smooth() -> None:
    rng = np.random.default_rng(0)
    moves = random_motion(rng, 8, (40, 20), OBJECT)
    np.testing.assert_allclose(moves[0], np.eye(3), atol=1e-12)
    assert np.abs(np.diff(moves[:, :2, 2], axis=0)).max() < 40


def test_placement_flips_and_scales_about_the_origin() -> None:
    point = placement(2.0, flip=True) @ np.array([1.0, 3.0, 1.0])
    np.testing.assert_allclose(point, [-2.0, 6.0, 1.0])


def test_bending_leaves_the_first_frame_as_it_is() -> None:
    sprite = np.random.default_rng(0).integers(0, 255, (32, 40, 4), dtype=np.uint8)
    frames = bend(np.random.default_rng(1), sprite, 4)
    np.testing.assert_array_equal(frames[0], sprite)
    assert not np.array_equal(frames[3], sprite)


def test_in_a_crowd_only_the_prompt_tells_which_is_meant(corpus: Corpus) -> None:
    sampler = ClipSampler(corpus, ClipConfig(video=0, still=0, paste=0, crowd=1, appearance=PLAIN), seed=5)
    clips = [sampler.sample(index, 2, (96, 160)) for index in range(20)]
    assert {clip.kind for clip in clips} == {"crowd"}
    places = np.array([np.argwhere(clip.masks[0]).mean(0) / clip.masks[0].shape for clip in clips])
    assert (places.std(0) > 0.15).all(), "targets are anywhere in the frame"


def test_long_clips_keep_moving_things_as_near_as_short_ones() -> None:
    def reach(n: int) -> float:
        moves = [random_motion(np.random.default_rng(seed), n, (40, 20), OBJECT) for seed in range(200)]
        return float(np.median([np.abs(each[-1, :2, 2]).max() for each in moves]))

    assert reach(12) < 2 * reach(4)


@pytest.mark.parametrize("seed", range(20))
def test_a_window_cuts_a_thing_on_one_end_of_a_clip_and_shows_the_frame_on_the_other(seed: int) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 20:70] = 255
    moves = window_over(np.random.default_rng(seed), mask, np.eye(3), 6, (60, 80))
    ends = sorted((moves[0], moves[-1]), key=lambda m: float(m[0, 0]))
    np.testing.assert_allclose(ends[0], np.eye(3), atol=1e-9)
    assert 1.2 < ends[1][0, 0] <= 4
    sizes = moves[:, 0, 0]
    assert np.all(np.diff(sizes) <= 1e-9) or np.all(np.diff(sizes) >= -1e-9)
    for move in moves:  # the frame's corners never come inside, so nothing beyond it is shown
        left, top = (move @ [0, 0, 1])[:2]
        right, bottom = (move @ [80, 60, 1])[:2]
        assert left <= 1e-9
        assert top <= 1e-9
        assert right >= 80 - 1e-9
        assert bottom >= 60 - 1e-9


def test_a_window_over_nothing_is_the_frame() -> None:
    moves = window_over(np.random.default_rng(0), np.zeros((60, 80), np.uint8), np.eye(3), 3, (60, 80))
    np.testing.assert_array_equal(moves, np.broadcast_to(np.eye(3), (3, 3, 3)))


@pytest.mark.parametrize("kind", ["video", "still"])
def test_a_target_is_revealed_as_often_as_was_told(corpus: Corpus, kind: str) -> None:
    def growth(reveal: float) -> float:
        """By how much the target's area changes over a clip, in octaves, on average."""
        sampler = ClipSampler(corpus, only(kind, intruder=0.0, reveal=reveal, elastic=0.0), seed=2)
        areas = [sampler.sample(index, 4, SIZE).masks.mean((1, 2)) for index in range(16)]
        return float(np.mean([abs(np.log2((each[-1] + 1e-4) / each[0])) for each in areas]))

    assert growth(1.0) > 2 * growth(0.0)
