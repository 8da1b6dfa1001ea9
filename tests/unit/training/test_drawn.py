"""Drawn scenes: kept once drawn, labelled, from seeds of their own; a recipe's cycles choose them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskscope.training import drawn
from maskscope.training.clips import ClipConfig, ClipSampler
from maskscope.training.corpus import Corpus
from maskscope.training.recipe import CLIPS_APART, Cycle, Phase, Recipe
from maskscope.training.recipe_clips import RecipeClips

DRAWN = ClipConfig(video=0, still=0, paste=0, drawn=1)
PHASE = Phase(3, 1, 2, (64, 96))


@pytest.fixture(scope="module")
def with_scenes(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn, "FRAMES", 20)
        patch.setattr(drawn, "HEIGHT_PX", 64)
        patch.setattr(drawn, "WIDTH_PX", 96)
        return replace(corpus, scenes=drawn.open_scenes(tmp_path_factory.mktemp("cache"), 2))


def test_scenes_are_drawn_once_and_are_labelled(
    with_scenes: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = with_scenes.scenes
    assert scenes is not None
    assert scenes.names("") == ["50000/frames", "50000/masks", "50001/frames", "50001/masks"]
    assert scenes["50000/frames"].shape == (20, 64, 96, 3)
    assert (scenes["50000/masks"] == 1).any()
    monkeypatch.setattr(drawn, "_drawn", lambda seeds: pytest.fail("drawn again"))
    assert drawn.open_scenes(scenes.folder.parent, 2).table == scenes.table


def test_most_scenes_hide_an_object() -> None:
    configs = [drawn.scene(drawn.FIRST_SEED + i) for i in range(40)]
    assert sum(config.occlusion == "full" or config.disappear is not None for config in configs) > 20
    assert len({config.seed for config in configs}) == 40


def test_a_clip_of_a_scene_follows_one_of_its_objects(with_scenes: Corpus) -> None:
    clip = ClipSampler(with_scenes, DRAWN, seed=1).sample(0, 3, (64, 96))
    assert clip.kind == "drawn"
    assert clip.masks[0].any()


def test_without_scenes_none_are_shown(corpus: Corpus) -> None:
    clips = ClipSampler(corpus, replace(DRAWN, video=0.01), seed=1)
    assert {clips.sample(index, 2, (64, 96)).kind for index in range(4)} == {"video"}


def test_each_cycle_has_clips_of_its_own_kind(with_scenes: Corpus) -> None:
    video = ClipConfig(video=1, still=0, paste=0)
    recipe = Recipe(cycles=(Cycle((PHASE,)), Cycle((PHASE,), clips=DRAWN)), clips=video, scenes=2)
    source = RecipeClips(with_scenes, recipe)
    kinds = [source.sample(step * CLIPS_APART, 2, (64, 96)).kind for step in range(6)]
    assert kinds == ["video"] * 3 + ["drawn"] * 3
    again = ClipSampler(with_scenes, video, recipe.seed).sample(CLIPS_APART, 2, (64, 96))
    np.testing.assert_array_equal(source.sample(CLIPS_APART, 2, (64, 96)).frames, again.frames)
    assert (recipe.scenes_to_draw, replace(recipe, cycles=recipe.cycles[:1]).scenes_to_draw) == (2, 0)
