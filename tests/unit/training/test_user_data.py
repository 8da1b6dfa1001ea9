"""Somebody's own clips as training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labelled_clips import MemorySequence, moving, square
from maskscope.errors import DatasetError
from maskscope.training.appearance import AppearanceRange
from maskscope.training.clips import ClipConfig, ClipSampler
from maskscope.training.user_data import LabelledClip, StretchedClips, digest, labelled_corpus

PLAIN = AppearanceRange(colour=0, grey=0, light=0, blur=0, noise=0, compression=0)


def test_labelled_frames_alone_are_kept_and_large_pictures_reduced(tmp_path: Path) -> None:
    labels = square(0)
    labels[0, 0] = 255
    clip = LabelledClip(MemorySequence("a", 9, {0: labels, 4: square(4)}), (0, 4))
    corpus = labelled_corpus([clip], tmp_path / "all", shown_px=48 * 64)
    assert corpus.videos == ("video/a",)
    assert corpus.store["video/a/frames"].shape == (2, 48, 64, 3)
    np.testing.assert_array_equal(corpus.store["video/a/masks"], np.stack([square(0), square(4)]), "void is background")
    small = labelled_corpus([clip], tmp_path / "small", shown_px=24 * 16)
    assert small.store["video/a/masks"].shape == (2, 21, 28)
    assert abs((small.store["video/a/masks"][1] > 0).mean() - (square(4) > 0).mean()) < 0.02
    assert digest(corpus) != digest(small)
    assert digest(corpus) == digest(labelled_corpus([clip], tmp_path / "again", shown_px=48 * 64))


@pytest.mark.parametrize("kind", ["video", "still", "paste"])
def test_clips_alone_give_every_kind_of_training_clip(tmp_path: Path, kind: str) -> None:
    corpus = labelled_corpus([LabelledClip(moving("a"), tuple(range(8)))], tmp_path, 48 * 64)
    weights = {name: float(name == kind) for name in ("video", "still", "paste")}
    sampler = ClipSampler(corpus, ClipConfig(**weights, intruder=0.5, appearance=PLAIN))
    for index in range(6):
        clip = sampler.sample(index, 3, (32, 64))
        assert clip.kind == kind
        assert clip.masks[0].any()


def test_clips_are_stretched_as_frames_are_for_tracking(tmp_path: Path) -> None:
    corpus = labelled_corpus([LabelledClip(moving("a"), tuple(range(8)))], tmp_path, 48 * 64)
    sampler = ClipSampler(corpus, ClipConfig(appearance=PLAIN), seed=4)
    wide, square_shaped = sampler.sample(1, 2, (48, 64)), StretchedClips(sampler, (48, 64)).sample(1, 2, (64, 64))
    assert square_shaped.frames.shape == (2, 64, 64, 3)
    assert square_shaped.masks.mean() == pytest.approx(wide.masks.mean(), abs=0.02)
    assert StretchedClips(sampler, (48, 64)).seed == 4


def test_a_clip_without_objects_is_refused(tmp_path: Path) -> None:
    empty = MemorySequence("a", 3, {t: np.zeros((48, 64), np.uint8) for t in range(3)})
    with pytest.raises(DatasetError, match="all masks of a are empty"):
        labelled_corpus([LabelledClip(empty, (0, 1, 2))], tmp_path, 48 * 64)
