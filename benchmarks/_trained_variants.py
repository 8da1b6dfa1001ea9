"""Short runs that differ in one thing: their recipes, the models they begin with, and where they leave what."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maskscope.model.checkpoints import save_checkpoint
from maskscope.model.config import SAM2Config
from maskscope.model.presets import COMPACT
from maskscope.training.corpus import open_corpus
from maskscope.training.launch import TrainOptions, fresh_model, train
from maskscope.training.loop import LOG_NAME, WEIGHTS_NAME, StepReport
from maskscope.training.recipe import Recipe
from maskscope.training.recipe_file import read_recipe

RECIPES = Path(__file__).parent / "recipes"
LOGS = Path(__file__).parent / "records" / "ablations"


@dataclass(frozen=True)
class Trained:
    """One run.

    Attributes:
        name: of its recipe under `recipes/`, of its folder and of its log.
        label: in the table.
        config: the model where it is another than the compact one.
        pretrained: whether the trunk begins with ImageNet's weights.
    """

    name: str
    label: str
    config: SAM2Config | None = None
    pretrained: bool = True

    @property
    def recipe(self) -> Recipe:
        """As the file says."""
        return read_recipe(str(RECIPES / f"{self.name}.toml"))

    def weights(self, runs: Path) -> Path:
        """Of the run, whether it is there or not."""
        return runs / self.name / WEIGHTS_NAME


NO_KEY = dataclasses.replace(COMPACT, memory=dataclasses.replace(COMPACT.memory, appearance_dim=0))
TRAINED_BASE = "base"
TRAINED = (
    Trained(TRAINED_BASE, "the short run"),
    Trained("random_trunk", "trunk without ImageNet weights", COMPACT, pretrained=False),
    Trained("no_key", "no appearance key", NO_KEY),
    Trained("real_only", "real video only"),
    Trained("no_real", "no real video: photos in motion and pasted cut-outs"),
    Trained("short_clips", "clips of 2 frames, twice as many"),
    Trained("long_clips", "clips of 8 frames, half as many"),
)


def run(
    one: Trained,
    data: Path,
    cache: Path,
    runs: Path,
    watch: Callable[[StepReport], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Train a variant, or go on; False where it was stopped before its end. Its log is copied into the repository.

    Args:
        one: what.
        data: training data.
        cache: of decoded data.
        runs: folder of all runs.
        watch: told of every step.
        stop: asked after every step.
    """
    recipe, out = one.recipe, runs / one.name
    if one.config is not None:
        start = runs / "starts" / f"{one.name}.safetensors"
        if not start.is_file():
            save_checkpoint(fresh_model(recipe, open_corpus(data, cache), one.config, one.pretrained), start)
        recipe = dataclasses.replace(recipe, initial=start)
    done = train(recipe, TrainOptions(data, out, cache), watch=watch, stop=stop)
    if done:
        LOGS.mkdir(parents=True, exist_ok=True)
        shutil.copy(out / LOG_NAME, LOGS / f"{one.name}.jsonl")
    return done
