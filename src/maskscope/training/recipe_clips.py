"""Clips of a whole recipe, whose cycles may be made of different ones."""

from __future__ import annotations

from dataclasses import dataclass

from maskscope.training.clips import Clip, ClipSampler
from maskscope.training.corpus import Corpus
from maskscope.training.recipe import CLIPS_APART, Recipe, stretches


@dataclass(frozen=True)
class RecipeClips:
    """Clips of a whole recipe: the cycle that a clip's step belongs to decides what it is made of."""

    corpus: Corpus
    recipe: Recipe

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.recipe.seed

    def sample(self, index: int, n_frames: int, size_hw: tuple[int, int]) -> Clip:
        """Clip number `index`; see `ClipSampler.sample`."""
        step = index // CLIPS_APART
        cycle = next((s.cycle for s in stretches(self.recipe) if step < s.end), self.recipe.cycles[-1])
        return ClipSampler(self.corpus, cycle.clips or self.recipe.clips, self.seed).sample(index, n_frames, size_hw)
