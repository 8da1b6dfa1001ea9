"""The loop on a toy corpus: what it leaves behind, and that a kill at any moment changes no bit of it."""

from __future__ import annotations

import dataclasses
import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_training
from maskscope.errors import CheckpointError, MaskscopeError, OutputError, SettingError
from maskscope.model.checkpoints import read_checkpoint
from maskscope.training.loop import StepReport, Trainer
from maskscope.training.recipe import Cycle, Phase, Recipe, Stretch, stretches
from maskscope.training.recipe_file import to_plain
from maskscope.training.state import read_state
from maskscope.training.team import Team
from tiny_training import RECIPE, tiny_trainer


@pytest.fixture(autouse=True)
def one_thread(threads_as_before: None) -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def straight(training_root: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    trainer = tiny_trainer(training_root, cache, tmp_path_factory.mktemp("straight"))
    assert trainer.run()
    torch.set_num_threads(threads)
    return trainer


def assert_same(one: Trainer, other: Trainer) -> None:
    for part in ("model", "averaged"):
        for name, value in getattr(one, part).state_dict().items():
            assert torch.equal(getattr(other, part).state_dict()[name], value), (part, name)
    assert one.progress.step == other.progress.step


def test_killed_and_taken_up_again_it_ends_with_the_same_weights(
    training_root: Path, cache: Path, tmp_path: Path, straight: Trainer
) -> None:
    program = [sys.executable, tiny_training.__file__, str(training_root), str(cache), str(tmp_path)]
    with subprocess.Popen(program) as run:
        state = tmp_path / "checkpoint.pt"
        while not state.exists() and run.poll() is None:
            time.sleep(0.005)
        time.sleep(0.06)  # anywhere in a later step, or in the writing of its checkpoint
        run.kill()
    assert run.returncode == -signal.SIGKILL
    resumed = tiny_trainer(training_root, cache, tmp_path)
    assert 0 < resumed.progress.step < RECIPE.steps
    assert resumed.run()
    assert_same(straight, resumed)
    assert not torch.equal(resumed.model.mask_decoder.iou_token.weight, resumed.averaged.mask_decoder.iou_token.weight)


@pytest.mark.parametrize("step", [1, 2], ids=["in a cycle", "between cycles"])
def test_stopped_and_taken_up_again_it_ends_with_the_same_weights(
    training_root: Path, cache: Path, tmp_path: Path, straight: Trainer, step: int
) -> None:
    trainer = tiny_trainer(training_root, cache, tmp_path)
    trainer.stop = lambda: trainer.progress.step + 1 == step
    assert not trainer.run()
    assert trainer.progress.step == step
    resumed = tiny_trainer(training_root, cache, tmp_path)
    assert resumed.run()
    assert_same(straight, resumed)


def test_a_cycle_may_freeze_parts_and_begin_with_the_mean_of_earlier_ones(
    training_root: Path, cache: Path, tmp_path: Path
) -> None:
    phase = Phase(1, 1, 2, (64, 96))
    frozen = ("image_encoder", "memory_encoder")
    cycles = (Cycle((phase,)), Cycle((phase,), frozen=frozen), Cycle((phase,), 0.0, 0.0, begins_with=(1, 2)))
    recipe = dataclasses.replace(RECIPE, cycles=cycles, weight_decay=0.0)
    whole = tiny_trainer(training_root, cache, tmp_path / "whole", recipe)
    assert whole.run()
    first, second = whole.ends[1], whole.ends[2]
    still = [name for name, _ in whole.model.named_parameters() if name.startswith(frozen)]
    assert all(torch.equal(first[name], second[name]) for name in still)
    moved = [name for name, _ in whole.model.named_parameters() if not torch.equal(first[name], second[name])]
    assert moved
    assert set(moved).isdisjoint(still)
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2, rtol=0, atol=1e-7)
    assert all(parameter.requires_grad for parameter in whole.model.memory_encoder.parameters())
    for stop in (1, 2):
        halted = tiny_trainer(training_root, cache, tmp_path / str(stop), recipe)
        halted.stop = lambda halted=halted, stop=stop: halted.progress.step + 1 == stop  # type: ignore[misc]
        assert not halted.run()
        again = tiny_trainer(training_root, cache, tmp_path / str(stop), recipe)
        assert again.run()
        assert_same(whole, again)


def test_a_finished_run_does_nothing_more(training_root: Path, cache: Path, straight: Trainer) -> None:
    again = tiny_trainer(training_root, cache, straight.out)
    assert again.progress == straight.progress
    assert again.run()
    assert_same(straight, again)


def test_log_and_weights(straight: Trainer) -> None:
    lines = [json.loads(line) for line in (straight.out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 4]
    assert lines[-1]["shape"] == [2, 1, 3, 64, 96]
    assert 0 < lines[0]["total"] < 100
    file = read_checkpoint(straight.weights)
    assert file.metadata["step"] == "4"
    for name, value in straight.averaged.state_dict().items():
        torch.testing.assert_close(file.state[name], value, rtol=0, atol=0)


def test_what_was_logged_after_the_checkpoint_is_dropped_with_half_a_line(
    training_root: Path, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 3}\n{"step": 5, "tot')
    assert tiny_trainer(training_root, cache, tmp_path).log.lines() == []


def test_validation_is_made_up_for_after_a_kill(training_root: Path, cache: Path, straight: Trainer) -> None:
    again = tiny_trainer(training_root, cache, straight.out)
    seen: list[object] = []

    def validate(model: object) -> dict[str, float]:
        seen.append(model)
        return {"mean": 0.5}

    again.validate = validate
    again.run()
    assert seen == [again.averaged]
    assert again.log.lines()[-1]["validation"] == {"mean": 0.5}
    again.run()
    assert len(seen) == 1
    again.log.path.write_text("".join(json.dumps(n) + "\n" for n in again.log.lines()[:-1]))


def test_groups_in_turn_are_one_large_batch(training_root: Path, cache: Path, tmp_path: Path) -> None:
    """Two groups of one clip each give the mean of their gradients."""
    recipe = dataclasses.replace(RECIPE, cycles=(Cycle((Phase(1, 1, 2, (64, 96)),)),), clip_norm=1e9)
    both = tiny_trainer(training_root, cache, tmp_path / "both", recipe)
    both.run()
    together = [p.grad for p in both.model.parameters() if p.grad is not None]
    alone = tiny_trainer(training_root, cache, tmp_path / "alone", recipe)
    parts = next(alone._parts(_stretch(recipe), 0))
    assert [number for number, _ in parts] == [0, 1]
    sums = [torch.zeros_like(g) for g in together]
    for number, batch in parts:
        alone.optimiser.zero_grad()
        alone._backward(number, batch, 0.5)
        for total, parameter in zip(sums, (p for p in alone.model.parameters() if p.requires_grad), strict=True):
            if parameter.grad is not None:
                total += parameter.grad
    for got, want in zip(together, sums, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-7)


def _stretch(recipe: Recipe) -> Stretch:
    return stretches(recipe)[0]


def test_every_step_is_told_and_its_dropout_is_its_own(training_root: Path, cache: Path, tmp_path: Path) -> None:
    told: list[StepReport] = []
    trainer = tiny_trainer(training_root, cache, tmp_path)
    trainer.watch = told.append
    parts = next(trainer._parts(_stretch(RECIPE), 0))
    before = torch.get_rng_state()
    first, second = (trainer._backward(parts[0][0], parts[0][1], 1.0) for _ in range(2))
    other = trainer._backward(99, parts[0][1], 1.0)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before), "the caller's random state is left alone"
    trainer.stop = lambda: True
    trainer.run()
    assert [(r.step, r.steps) for r in told] == [(1, 4)]
    assert set(told[0].losses) == {"total", "focal", "dice", "iou", "occlusion", "true_iou"}


def test_a_loss_that_is_no_number_keeps_its_clips(training_root: Path, cache: Path, tmp_path: Path) -> None:
    trainer = tiny_trainer(training_root, cache, tmp_path)
    with torch.no_grad():
        trainer.model.mask_decoder.iou_token.weight.fill_(float("nan"))
    with pytest.raises(MaskscopeError, match="no number at step 0; its clips are in"):
        trainer.run()
    with np.load(tmp_path / "not-a-number-0.npz") as kept:
        assert kept["frames"].shape == (2, 1, 64, 96, 3)
        assert kept["masks"][0].any()


@pytest.mark.parametrize("fast", [torch.bfloat16, torch.float32])
def test_a_run_keeps_the_precision_it_began_with(
    training_root: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: torch.dtype
) -> None:
    monkeypatch.setattr("maskscope.training.loop.preferred_dtype", lambda _: fast)
    trainer = tiny_trainer(training_root, cache, tmp_path)
    seen: list[torch.dtype] = []
    trainer.model.mask_decoder.register_forward_hook(
        lambda *_: seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32)
    )
    trainer.stop = lambda: True
    trainer.run()
    assert set(seen) == {fast}
    other = torch.float32 if fast == torch.bfloat16 else torch.bfloat16
    monkeypatch.setattr("maskscope.training.loop.preferred_dtype", lambda _: other)
    assert tiny_trainer(training_root, cache, tmp_path).precision == str(fast).removeprefix("torch.")


def test_corrections_resume_to_the_bit_and_are_part_of_the_run(
    training_root: Path, cache: Path, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(RECIPE, prompt_weights=(0.0, 0.5, 0.5))

    def trainer(out: str, clicks: int) -> Trainer:
        torch.manual_seed(0)
        source = tiny_trainer(training_root, cache, tmp_path / "other").clips
        corrected = dataclasses.replace(recipe, correction_clicks=clicks)
        return Trainer(tiny_training.SAM2(tiny_training.TINY), corrected, source, tmp_path / out)

    whole, halted, plain = trainer("whole", 2), trainer("halted", 2), trainer("plain", 0)
    halted.stop = lambda: halted.progress.step == 1
    assert whole.run()
    assert not halted.run()
    again = trainer("halted", 2)
    assert again.run()
    assert_same(whole, again)
    plain.run()
    of_cycles = dataclasses.replace(
        recipe, cycles=tuple(dataclasses.replace(cycle, correction_clicks=2) for cycle in recipe.cycles)
    )
    torch.manual_seed(0)
    source = tiny_trainer(training_root, cache, tmp_path / "other").clips
    told = Trainer(tiny_training.SAM2(tiny_training.TINY), of_cycles, source, tmp_path / "told")
    told.run()
    assert_same(whole, told)
    assert not torch.equal(plain.model.mask_decoder.iou_token.weight, whole.model.mask_decoder.iou_token.weight)
    with pytest.raises(SettingError, match=r"differs in correction_clicks"):
        trainer("whole", 3)


def test_another_recipe_model_or_damage_is_refused(training_root: Path, cache: Path, straight: Trainer) -> None:
    out = straight.out
    other = dataclasses.replace(RECIPE, seed=5, warm_up=0.2)
    with pytest.raises(SettingError, match=r"another recipe \(it differs in seed, warm_up\)"):
        tiny_trainer(training_root, cache, out, other)
    wider = dataclasses.replace(tiny_training.TINY, dim=64)
    with pytest.raises(CheckpointError, match="is of another model"):
        Trainer(tiny_training.SAM2(wider), RECIPE, straight.clips, out)
    damaged = out / "cut.pt"
    damaged.write_bytes(straight.state_path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="is not the state of a run"):
        read_state(damaged, to_plain(RECIPE))


def test_a_full_disk_leaves_the_checkpoint_before(
    training_root: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = tiny_trainer(training_root, cache, tmp_path)
    trainer.stop = lambda: trainer.progress.step == 0
    trainer.run()
    before = trainer.state_path.read_bytes()

    def full(_state: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match=r"disk full.*make room, then run the same command"):
        tiny_trainer(training_root, cache, tmp_path).run()
    assert trainer.state_path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_groups_that_cannot_be_shared_out_are_refused(training_root: Path, cache: Path, tmp_path: Path) -> None:
    trainer = tiny_trainer(training_root, cache, tmp_path)
    with pytest.raises(SettingError, match="2 groups cannot be shared out among 3 processes"):
        Trainer(trainer.model, RECIPE, trainer.clips, tmp_path, team=Team(0, 3))
