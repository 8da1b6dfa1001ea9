"""The table of ablations on a tiny case, what is taken away, and short runs that differ in one thing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from track_cases import make_weights

import _made_from
import _trained_variants
import ablations
from _ablated import BASE, POLICY, VARIANTS, AblatedPolicy, AblatedSettings, Variant
from _job_record import JobRecord
from _made_from import recipe_digest
from _trained_variants import TRAINED, Trained
from benchmark_run import refusal, run
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies import registry
from maskscope.memory.policy import Moment
from maskscope.model.checkpoints import load_model, locate, save_checkpoint
from maskscope.model.config import MemoryConfig
from maskscope.model.presets import COMPACT
from maskscope.studies.clip_identity import file_digest
from maskscope.training.log import RunLog
from maskscope.training.recipe import Cycle, Phase, Recipe, stretches
from maskscope.training.recipe_file import differences, to_plain
from training_data import make_root


def bank_of(frames: int) -> MemoryBank:
    bank = MemoryBank()
    for t in range(frames):
        summary = FrameSummary(t, t == 0, 5.0, 0.9, 0.1)
        bank.write(FrameMemory(summary, torch.zeros(8), torch.zeros(4, 2, 2), torch.zeros(8, 8), {}))
    return bank


@pytest.mark.parametrize(("recent", "read"), [(6, [0, 4, 5, 6, 7, 8, 9]), (2, [0, 8, 9]), (1, [0, 9]), (0, [0])])
def test_the_newest_memories_stay(recent: int, read: list[int]) -> None:
    policy = AblatedPolicy(MemoryConfig(), AblatedSettings(recent=recent))
    selection = policy.select(bank_of(10), Moment(10, False, None))
    assert [one.frame_index for one in selection.spatial] == read
    assert len(selection.pointers) == 10
    without = AblatedPolicy(MemoryConfig(), AblatedSettings(recent=recent, pointers=False))
    assert without.select(bank_of(10), Moment(10, False, None)).pointers == ()


def test_every_row_is_a_policy_that_there_is() -> None:
    for row in VARIANTS:
        registry.policy(row.policy)
    assert VARIANTS[0] == Variant(BASE)


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (Variant(BASE, image_size=(64, 96)), Variant("no memory", f"{POLICY}:recent=0,pointers=off", (64, 96)))
    monkeypatch.setattr(ablations, "VARIANTS", rows)


@pytest.mark.usefixtures("few_rows")
def test_a_tiny_case_stops_goes_on_and_is_written_into_a_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, record = make_weights(tmp_path / "untrained.safetensors"), tmp_path / "ablations.json"
    words = ["--drawn", "2", "--max-frames", "3", "--model", str(weights), "--json", str(record)]
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, ablations, *words, "--minutes", "0")
    assert "no clip is complete yet" in capsys.readouterr().err
    assert list(JobRecord(record, "ablations", None).jobs) == ["drawn-01"]
    mark = tmp_path / "card.md"
    mark.write_text("<!-- table: ablations -->\n<!-- end -->\n")
    run(monkeypatch, ablations, *words, "--write", str(mark))
    content = json.loads(record.read_text())
    assert content["digest"]["clips"] == ["drawn-01", "drawn-02"]
    assert [row["label"] for row in content["digest"]["rows"]] == [BASE, "no memory"]
    assert f"| {BASE} | {100 * content['digest']['rows'][0]['j_and_f']:.1f} |  |" in mark.read_text()
    monkeypatch.setattr(ablations, "j_and_f", lambda *_: pytest.fail("it was computed already"))
    run(monkeypatch, ablations, *words)
    again = json.loads(record.read_text())
    assert (again["jobs"], again["digest"]) == (content["jobs"], content["digest"])
    weights.write_bytes(weights.read_bytes() + b"others")
    told = refusal(monkeypatch, capsys, ablations, *words)
    assert "holds results of another weights" in told, "other weights under the same name"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--drawn", "0"), "there are no clips"),
        (("--held-out", "nowhere"), "nowhere lacks video/davis_train"),
        (("--trained", "--runs", "nowhere"), "there are no weights of short runs in nowhere"),
        (("--train", "nowhere", "--only", "none"), "no short run is called none; there are: base, random_trunk"),
    ],
)
def test_mistakes_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], problem: str
) -> None:
    assert problem in refusal(monkeypatch, capsys, ablations, *words)


def test_short_runs_differ_in_one_thing_and_see_as_many_frames() -> None:
    base = to_plain(TRAINED[0].recipe)
    changed = {one.name: differences(base, to_plain(one.recipe)) for one in TRAINED}
    assert changed == {
        "base": [],
        "random_trunk": ["frozen_stages", "train_depthwise"],
        "no_key": [],
        "real_only": ["clips"],
        "no_real": ["clips"],
        "short_clips": ["cycles"],
        "long_clips": ["cycles"],
    }
    for one in TRAINED:
        [phase] = [stretch.phase for stretch in stretches(one.recipe)]
        assert phase.steps * phase.groups * phase.clips * phase.frames == 240 * 16
        assert phase.size_hw == ablations.TRAINED_SIZE
    assert {one.name for one in TRAINED} == {path.stem for path in _trained_variants.RECIPES.glob("*.toml")}
    without = next(one for one in TRAINED if one.name == "no_key").config
    assert without is not None
    assert (without.memory.appearance_dim, COMPACT.memory.appearance_dim) == (0, 64)


def test_a_run_of_another_model_begins_with_it_and_leaves_weights_and_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recipe = Recipe(cycles=(Cycle((Phase(1, 1, 2, (64, 96), groups=1),)),), frozen_stages=0, seed=3)
    monkeypatch.setattr(Trained, "recipe", recipe)
    monkeypatch.setattr(_trained_variants, "LOGS", tmp_path / "logs")
    without = dataclasses.replace(COMPACT, memory=dataclasses.replace(COMPACT.memory, appearance_dim=0))
    one = Trained("tiny", "tiny", without, pretrained=False)
    root = make_root(tmp_path / "root")
    assert _trained_variants.run(one, root, tmp_path / "cache", tmp_path / "runs")
    assert one.weights(tmp_path / "runs").is_file()
    assert RunLog(tmp_path / "logs" / "tiny.jsonl").lines()[0]["step"] == 1
    assert ablations.load_model(str(one.weights(tmp_path / "runs")), device="cpu").appearance_key is None


def test_rows_of_other_weights_or_another_recipe_are_measured_again_and_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two, runs, record = TRAINED[:2], tmp_path / "runs", tmp_path / "ablations_trained.json"
    monkeypatch.setattr(ablations, "TRAINED", two)
    monkeypatch.setattr(ablations, "TRAINED_SIZE", (64, 96))
    for one in two:
        one.weights(runs).parent.mkdir(parents=True)
        make_weights(one.weights(runs))
    words = ["--trained", "--runs", str(runs), "--drawn", "1", "--max-frames", "3", "--json", str(record)]
    run(monkeypatch, ablations, *words)
    asked = json.loads(record.read_text())["made_from"]
    assert asked.keys() == {one.label for one in two}
    assert asked[two[0].label]["weights"] == file_digest(two[0].weights(runs))
    assert asked[two[0].label]["recipe"] == recipe_digest(two[0].recipe) != recipe_digest(two[1].recipe)
    measured: list[str] = []
    monkeypatch.setattr(ablations, "j_and_f", lambda *_: measured.append("again") or 0.5)
    run(monkeypatch, ablations, *words)
    assert (measured, capsys.readouterr().err) == ([], ""), "all is of these weights"
    save_checkpoint(load_model(two[1].weights(runs), device="cpu"), two[1].weights(runs), {"step": "2"})
    run(monkeypatch, ablations, *words)
    assert measured == ["again"]
    note = capsys.readouterr().err
    assert f"of other weights or another recipe, measured again: {two[1].label}" in note
    page = ["--page", "--json", str(record)]
    others = dataclasses.replace(two[1], name="real_only")  # the same label, now of another recipe
    monkeypatch.setattr(_made_from, "TRAINED", (two[0], others))
    run(monkeypatch, ablations, *page)
    told = capsys.readouterr()
    assert f"left out, as of another recipe: {two[1].label}" in told.err
    assert two[0].label in told.out
    assert two[1].label not in told.out
    monkeypatch.setattr(_made_from, "TRAINED", (dataclasses.replace(two[0], name="real_only"), two[1]))
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, ablations, *page)
    assert "is left out: its runs are of other recipes" in capsys.readouterr().err


def test_a_table_of_other_weights_than_the_shipped_ones_is_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"trained": False, "model": "compact", "weights": "0" * 64, "precision": "float32", "clips": {"a": 2}}
    record = JobRecord(tmp_path / "ablations.json", "ablations", request)
    record.write(digest={"clips": ["a"], "rows": [{"label": BASE, "j_and_f": 0.5, "less_base": None}]})
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, ablations, "--page", "--json", str(record.path))
    note, error = capsys.readouterr().err.strip().splitlines()
    assert "is left out: it is of other weights than those in the package" in note
    assert "no record is of the weights and recipes as they are now" in error
    record.request["weights"] = file_digest(locate("compact"))
    record.write()
    run(monkeypatch, ablations, "--page", "--json", str(record.path))
    assert f"| {BASE} | 50.0 |" in capsys.readouterr().out
