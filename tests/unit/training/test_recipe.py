"""Recipes: rates, stretches, what is frozen, and the files that change them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from maskscope.errors import SettingError
from maskscope.model.presets import COMPACT
from maskscope.model.sam2 import SAM2
from maskscope.training.clips import ClipConfig
from maskscope.training.optimise import build_optimiser, freeze, set_rates
from maskscope.training.recipe import Cycle, Phase, Recipe, rate_factor, stretches
from maskscope.training.recipe_file import differences, read_recipe, to_plain

SHORT = Phase(10, 1, 2, (64, 96))
TWO = Recipe(cycles=(Cycle((SHORT, SHORT)), Cycle((SHORT,), learning_rate=1e-4, trunk_rate=1e-5)))


def test_rates_warm_up_and_fall() -> None:
    recipe = Recipe(warm_up=0.1, final_rate=0.02)
    assert rate_factor(0.05, recipe) == pytest.approx(0.5)
    assert rate_factor(0.1, recipe) == pytest.approx(1.0)
    assert rate_factor(0.55, recipe) == pytest.approx(0.51)
    assert rate_factor(1.5, recipe) == pytest.approx(0.02)


def test_rates_rise_again_in_the_next_cycle() -> None:
    first, second, third = stretches(TWO)
    assert [(s.begin, s.end, s.cycle_begin, s.cycle_end) for s in (first, second, third)] == [
        (0, 10, 0, 20),
        (10, 20, 0, 20),
        (20, 30, 20, 30),
    ]
    assert TWO.steps == 30
    model = SAM2(COMPACT)
    optimiser = build_optimiser(model, TWO)
    late = set_rates(optimiser, TWO, second, 19)
    early = set_rates(optimiser, TWO, third, 21)
    assert late < 0.1 * 8e-4 < early <= 1e-4
    assert {g["lr"] for g in optimiser.param_groups} == {early, early / 10}


def test_frozen_parts_are_not_in_the_optimiser() -> None:
    model = SAM2(COMPACT)
    freeze(model, Recipe(frozen_stages=2))
    trunk = model.image_encoder.trunk
    learned = {name for name, p in trunk.named_parameters() if p.requires_grad}
    assert "stages.2.0.expand.weight" in learned
    assert not any(name.startswith(("stem", "stages.0", "stages.1")) or "depthwise" in name for name in learned)
    groups = build_optimiser(model, Recipe()).param_groups
    assert sum(len(g["params"]) for g in groups) == sum(p.requires_grad for p in model.parameters())
    assert {(g["trunk"], g["weight_decay"]) for g in groups} == {
        (True, 0.05),
        (True, 0.0),
        (False, 0.05),
        (False, 0.0),
    }


def test_parts_are_frozen_by_name() -> None:
    model = SAM2(COMPACT)
    freeze(model, Recipe(frozen=("image_encoder.neck", "mask_decoder"), frozen_stages=0, train_depthwise=True))
    frozen = {name.split(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"image_encoder", "mask_decoder"}
    assert all(p.requires_grad for p in model.image_encoder.trunk.parameters())
    with pytest.raises(
        SettingError, match=r"no part 'encoder' to freeze; its parts: appearance_key, image_encoder, mask_decoder"
    ):
        freeze(model, Recipe(frozen=("encoder",)))


def test_a_file_says_what_differs(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        "seed = 3\ninitial = 'start.safetensors'\nprompt_weights = [1, 0, 0]\n[clips]\npaste = 0\n"
        "[[cycles]]\nlearning_rate = 1e-3\n[[cycles.phases]]\nsteps = 5\nclips = 2\nframes = 3\nsize_hw = [64, 96]\n"
    )
    recipe = read_recipe(str(tmp_path / "mine.toml"))
    assert recipe.cycles == (Cycle((Phase(5, 2, 3, (64, 96)),), learning_rate=1e-3),)
    assert recipe.initial == tmp_path / "start.safetensors"
    assert recipe.prompt_weights == (1.0, 0.0, 0.0)
    compact = read_recipe("compact")
    assert differences(to_plain(recipe), to_plain(compact)) == ["clips", "cycles", "initial", "prompt_weights", "seed"]


def test_a_cycle_of_a_file_may_have_clips_and_prompts_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        "[clips]\npaste = 0\n[[cycles]]\nprompt_weights = [0, 0, 1]\ncorrection_clicks = 2\n"
        "[cycles.clips]\nhiding = 1\ndrawn = 0.5\n"
        "[[cycles.phases]]\nsteps = 5\nclips = 2\nframes = 3\nsize_hw = [64, 96]\n"
    )
    recipe = read_recipe(str(tmp_path / "mine.toml"))
    assert recipe.cycles[0].prompt_weights == (0.0, 0.0, 1.0)
    assert recipe.cycles[0].clips == ClipConfig(hiding=1.0, drawn=0.5)
    assert (recipe.cycles[0].correction_clicks, recipe.correction_clicks) == (2, 0)
    assert (recipe.clips, recipe.scenes_to_draw) == (ClipConfig(paste=0.0), recipe.scenes)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sed = 1", "'sed', which a recipe has not"),
        ("seed = 'one'", "seed is 'one', expected a value like 11"),
        ("seed = = 1", "is not TOML"),
        ("[clips]\nvideo = [1]", "video is .*, expected a value like 0.45"),
        ("[[cycles]]\n[[cycles.phases]]\nsteps = 1", "needs clips, frames, size_hw, steps"),
        (
            "[[cycles]]\n[[cycles.phases]]\nsteps = 1\nclips = 1\nframes = 2\nsize_hw = [60, 96]",
            r"size_hw is \[60, 96\], expected \(height, width\) in multiples of 32",
        ),
        ("[[cycles]]\n[[cycles.phases]]\nsteps = 1\nclips = 1\nframes = 0\nsize_hw = [64, 96]", "nothing to train on"),
        ("[[cycles]]\n[[cycles.phases]]\nsteps = 1\nclips = 1\nframes = 1\nsize_hw = [64, 96]", "nothing to learn"),
        (
            "[[cycles]]\nbegins_with = [1]\n[[cycles.phases]]\nsteps = 1\nclips = 1\nframes = 2\nsize_hw = [64, 96]",
            r"cycle 1 begins with the weights of cycles \[1\], which are not before it",
        ),
        (
            "[[cycles]]\ncorrection_clicks = -1\n"
            "[[cycles.phases]]\nsteps = 1\nclips = 1\nframes = 2\nsize_hw = [64, 96]",
            "correction_clicks is -1, expected 0 or more",
        ),
        ("[losses]\nothers = 1.5", "others is 1.5, expected a share from 0 to 1"),
        ("cycles = []", "has no phases"),
        ("cycles = 1", "expected tables"),
    ],
)
def test_mistakes_in_a_file_are_told(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=problem):
        read_recipe(str(path))


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(SettingError, match="no recipe or file called 'kompakt'; give compact, or a TOML file"):
        read_recipe("kompakt")


def test_the_recipe_in_the_docs_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "mine.toml").write_text(example, encoding="utf-8")
    recipe = read_recipe(str(tmp_path / "mine.toml"))
    assert recipe.initial == tmp_path / "start.safetensors"
    assert recipe.clips.video == 0.6
    [stretch] = stretches(recipe)
    assert (stretch.phase.steps, stretch.phase.size_hw) == (1500, (288, 512))
    assert stretch.cycle.frozen == ("image_encoder",)
