"""Families of the stress bench on training clips: what the bench draws, the same for the same seed, with its masks."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from maskscope.errors import DatasetError
from maskscope.training import clips, families
from maskscope.training.clips import ClipConfig, ClipSampler
from maskscope.training.corpus import Corpus
from maskscope.training.families import FAMILIES, HeldClip, material_of, under_family
from maskscope.training.store import ArrayStore
from maskscope.transforms.base import SourceClip, TransformedClip
from maskscope.transforms.material import ClipMaterial
from maskscope.transforms.registry import family

SIZE = (96, 160)


def moving(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A bright square that moves over noise."""
    frames = np.random.default_rng(0).integers(40, 90, (n, *SIZE, 3)).astype(np.uint8)
    masks = np.zeros((n, *SIZE), np.bool_)
    for t in range(n):
        masks[t, 30:62, 20 + 8 * t : 60 + 8 * t] = True
    frames[masks] = (220, 60, 40)
    return frames, masks


@pytest.mark.parametrize("name", FAMILIES)
def test_it_shows_what_the_bench_shows(name: str, monkeypatch: pytest.MonkeyPatch, corpus: Corpus) -> None:
    monkeypatch.setattr(families, "FAMILIES", (name,))
    frames, masks = moving()
    material = material_of(corpus.store, corpus.videos)
    changed = 0
    for seed in range(5):
        shown, seen = under_family(np.random.default_rng(seed), frames, masks, material)
        again = under_family(np.random.default_rng(seed), frames, masks, material)
        assert np.array_equal(shown, again[0])
        assert np.array_equal(seen, again[1])
        assert (shown.shape, shown.dtype, seen.dtype) == (frames.shape, np.uint8, np.bool_)
        assert seen[0].any()
        changed += not np.array_equal(shown, frames)
        rng = np.random.default_rng(seed)
        rng.choice((name,))
        severity, number = int(rng.integers(1, 6)), int(rng.integers(2**31))
        clip = SourceClip(HeldClip("training", frames, masks.astype(np.uint8)))
        bench = TransformedClip(clip, family(name).plan(clip, severity, number, material))
        assert np.array_equal(bench.at(3).image_hwc, shown[3])
        assert np.array_equal(bench.at(3).visible_hw == 1, seen[3])
    assert changed >= 3
    assert np.array_equal(frames, moving()[0]), "what was given is left alone"


def test_what_hides_takes_pixels_from_the_target_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "FAMILIES", ("occlusion",))
    frames, masks = moving()
    hidden = 0
    for seed in range(8):
        _, seen = under_family(np.random.default_rng(seed), frames, masks, ClipMaterial())
        assert not (seen & ~masks).any()
        hidden += int((masks & ~seen).sum())
    assert hidden > 0


def test_a_clip_that_cannot_be_transformed_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, masks = moving()

    class Refusing:
        def plan(self, *_: object) -> object:
            raise DatasetError("too short", "never mind")

    monkeypatch.setattr(families, "family", lambda _: Refusing())
    shown, seen = under_family(np.random.default_rng(0), frames, masks, ClipMaterial())
    assert shown is frames
    assert seen is masks


def test_clips_are_transformed_where_the_recipe_says(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ClipConfig(video=1, still=0, paste=0, intruder=0)
    always = dataclasses.replace(plain, families=1.0)
    names: list[str] = []
    real = families.family
    monkeypatch.setattr(families, "family", lambda name: names.append(name) or real(name))
    for index in range(12):
        one, other = (ClipSampler(corpus, config, 3).sample(index, 4, (64, 96)) for config in (always, always))
        assert np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.masks, other.masks)
        assert one.masks[0].any()
    assert len(names) == 24
    assert len(set(names)) >= 3
    names.clear()
    ClipSampler(corpus, plain, 3).sample(0, 4, (64, 96))
    ClipSampler(corpus, always, 3).sample(0, 1, (64, 96))
    assert names == [], "not without being asked for, and no single picture"
    assert pickle.loads(pickle.dumps(material_of(corpus.store, corpus.videos)))


def test_a_clip_is_no_foreign_footage_of_itself(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    offered: list[tuple[str, ...]] = []
    stretch = ClipSampler._stretch

    def noted(self: ClipSampler, rng: np.random.Generator, n: int, store: ArrayStore, name: str) -> object:
        shown.append(name)
        return stretch(self, rng, n, store, name)

    monkeypatch.setattr(ClipSampler, "_stretch", noted)
    monkeypatch.setattr(clips, "material_of", lambda store, names: offered.append(tuple(names)) or ClipMaterial())
    unphotographed = dataclasses.replace(corpus, objects=(), regions=())
    video = ClipConfig(video=1, still=0, paste=0, intruder=0, families=1.0)
    still = dataclasses.replace(video, video=0, still=1)
    pasted = dataclasses.replace(video, video=0, paste=1)
    for index in range(4):
        for config, source in ((video, corpus), (still, unphotographed)):
            shown.clear()
            ClipSampler(source, config, 3).sample(index, 4, (64, 96))
            assert set(offered.pop()) == set(corpus.videos) - {shown[-1]}
        for config in (still, pasted):
            ClipSampler(corpus, config, 3).sample(index, 4, (64, 96))
            assert offered.pop() == corpus.videos
