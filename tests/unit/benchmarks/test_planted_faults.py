from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from _faults import KINDS, WRITTEN, Fault, blended, frames_of, replacement_of, same_form, shifted, strengths
from _outcome_file import OutcomeFile
from _planted_clips import Bench, Clip
from _planted_page import NO_BLAME, UNDISTURBED, Outcome, confusion, never_lost, quiet, report, top1, write_page
from maskscope.errors import RecordError
from maskscope.model.outputs import DecodedMasks, ImageFeatures
from maskscope.observe.blame import NOT_DETERMINED
from maskscope.observe.patching import Activations
from maskscope.stages import STAGES
from planted import SIDE, tiny_model
from planted_faults import fitting, main, plan, planted, undisturbed
from random_models import moving_square, square_mask


def image(value: float) -> ImageFeatures:
    return ImageFeatures(*(torch.full((1, 2, side, side), value) for side in (2, 8, 4)))


def decoded() -> DecodedMasks:
    tokens = torch.arange(8.0).reshape(1, 2, 2, 2)
    return DecodedMasks(torch.zeros(1, 3, 8, 8), torch.ones(1, 3), torch.ones(1), torch.ones(1, 3, 2), tokens, tokens)


def test_a_shift_goes_all_the_way_round() -> None:
    assert shifted(torch.tensor([1.0, 2, 3, 4]), 0.5).tolist() == [3, 4, 1, 2]
    assert shifted(torch.tensor([1.0, 2, 3, 4]), 0.01).tolist() == [4, 1, 2, 3]  # one cell at least


def test_a_mixture_of_activations() -> None:
    mixed = blended(image(0.0), image(4.0), 0.75)
    assert {float(x.mean()) for x in (mixed.embedding_bchw, mixed.fine_bchw, mixed.middle_bchw)} == {3.0}


def test_noise_follows_from_the_fault_and_the_frame_and_is_as_strong_as_it_says() -> None:
    torch.manual_seed(0)
    features = 3 * torch.randn(1, 16, 20, 20)
    act = replacement_of(Fault("memory_conditioned", "noise", 2.0, (5, 6), seed=4))
    assert act(4, features) is features
    first, second = act(5, features), act(6, features)
    assert torch.equal(first, act(5, features))
    assert not torch.equal(first, second)
    assert float((first - features).std()) == pytest.approx(6, rel=0.1)


def test_the_masks_follow_from_attended_tokens_and_another_clip_is_taken_whole() -> None:
    out = replacement_of(Fault("prompt_attended", "shift", 0.5, (5,), seed=0))(5, decoded())
    assert torch.equal(out, decoded().attended_bchw.flip(-1))  # tokens alone: the masks are computed from them
    held = Activations(keep=None)
    held.recorders(("prompt_attended",))["prompt_attended"](5, blended(decoded(), decoded(), 0))
    whole = replacement_of(Fault("prompt_attended", "other clip", 1.0, (5,), seed=0), held)(5, decoded())
    assert isinstance(whole, DecodedMasks)
    assert same_form(whole, decoded())
    assert not same_form(image(0.0), ImageFeatures(*(torch.zeros(1, 2, 3, 3) for _ in range(3))))


def test_what_is_written_is_spoilt_from_the_prompted_frame_on() -> None:
    rng = np.random.default_rng(0)
    for stage in STAGES:
        frames = frames_of(stage, rng)
        assert list(frames) == list(range(frames[0], frames[-1] + 1))
        assert (frames[0] == 0) == (stage in WRITTEN)
        assert len(frames) >= (8 if stage in WRITTEN else 2)
    assert strengths("object_pointer", "noise") == (4, 8, 16)
    assert strengths("image_embedding", "noise") == (2, 4, 8)


def test_every_beginning_of_the_plan_covers_all_cells_and_the_whole_has_each_once() -> None:
    cases = plan(clips=3, undisturbed=2, seed=1)
    names = [case.name for case in cases]
    cells = {f"{s} {k} {x:g}" for s in STAGES for k in KINDS for x in strengths(s, k)}
    assert set(names) == {f"{c} {cell}" for c in range(3) for cell in cells} | {
        f"{c} {UNDISTURBED} {n}" for c in range(3) for n in range(2)
    }
    assert len(names) == len(set(names))
    faults = [case.fault for case in cases if case.fault is not None]
    assert {f"{f.stage} {f.kind} {f.strength:g}" for f in faults[: len(cells)]} == cells
    for end in range(5, len(cells), 5):  # positions take turns
        assert set(Counter(fault.stage for fault in faults[:end]).values()) == {end // 5}
    assert sum(case.fault is None for case in cases[:12]) == 3
    assert plan(3, 2, 1) == cases
    assert plan(3, 2, 2) != cases


@pytest.fixture(scope="module")
def benches() -> list[Bench]:
    """Two clips of drifting squares; the model has random weights, so its own masks are the truth."""
    model, made = tiny_model(), []
    for first in (0, 4):
        frames = moving_square(first + 5, SIDE, SIDE)[first:]
        made.append(
            Bench(model, Clip(f"square {first}", frames, [square_mask(first + t, SIDE, SIDE) for t in range(5)]))
        )
    return made


def test_a_bench_plants_what_it_is_told_and_leaves_the_rest(benches: list[Bench]) -> None:
    bench = benches[0]
    assert len({len(each.activations.frames) for each in benches}) == 1
    fault = Fault("memory_features", "other clip", 1.0, (0, 1), seed=0)
    other = fitting(benches, 0, fault)
    assert other is benches[1].activations
    found = planted(bench, fault, other)
    assert (found.clip, found.stage, found.kind, found.frames) == ("square 0", "memory_features", "other clip", (0, 1))
    assert found.named in (NO_BLAME, NOT_DETERMINED, *STAGES)
    assert fitting(benches[:1], 0, fault) is None
    assert fitting(benches, 0, replace(fault, frames=(7,))) is None  # the clips end before
    nothing = undisturbed(bench, 3)
    assert (nothing.stage, nothing.kind, nothing.strength) == (None, UNDISTURBED, 3.0)


def outcome(stage, named: str, lost: bool = True) -> Outcome:  # type: ignore[no-untyped-def]
    return Outcome("clip", stage, "noise" if stage else UNDISTURBED, 2.0, (5,), lost, named, 1.0, "since")


OUTCOMES = [
    outcome("image_embedding", "image_embedding"),
    outcome("image_embedding", "memory_conditioned"),
    outcome("prompt_attended", NOT_DETERMINED),
    outcome("object_pointer", NO_BLAME, lost=False),
    outcome(None, NO_BLAME, lost=False),
    outcome(None, NOT_DETERMINED),
    outcome(None, "memory_features"),
]


def test_shares_count_lost_cases_and_undisturbed_runs() -> None:
    assert (top1(OUTCOMES).count, top1(OUTCOMES).total) == (1, 3)
    assert (quiet(OUTCOMES).count, quiet(OUTCOMES).total) == (2, 3)
    # Wilson's interval by hand: p = 1/3, n = 3, z = 1.96
    low, high = top1(OUTCOMES).interval or (0.0, 0.0)
    assert (low, high) == (pytest.approx(0.0615, abs=1e-3), pytest.approx(0.7923, abs=1e-3))
    table = confusion(OUTCOMES)
    assert table["image_embedding"]["memory_conditioned"] == table["prompt_attended"][NOT_DETERMINED] == 1
    assert sum(sum(row.values()) for row in table.values()) == 3
    assert never_lost(OUTCOMES) == {"object_pointer": 1}
    assert str(top1([])) == "nothing to count"


HEADER = {
    "request": {"model": "tiny", "image_size": [64, 96], "frames": 5},
    "clips": {"clip": 0.8},
    "planned": 20,
}


def test_the_page_has_the_matrix_and_what_was_wrong(tmp_path: Path) -> None:
    write_page(tmp_path / "page.md", OUTCOMES, HEADER, "python it.py")
    text = (tmp_path / "page.md").read_text()
    assert "| image embedding | 1 | 1 | 0 | 0 | 0 | 0 | 2 | 0 | 50.0 % [9.5, 90.5] of 2 |" in text
    assert "object pointer never lost the object (1 planted)" in text
    assert "| clip | image embedding, noise 2, frames 5 to 5 | memory conditioned | since |" in text
    assert "7 of 20 planned cases" in text
    assert "## Where it was wrong" not in _page(tmp_path, OUTCOMES[:1])
    assert "33.3 %" in report(OUTCOMES, 20)


def _page(folder: Path, outcomes: list[Outcome]) -> str:
    write_page(folder / "page.md", outcomes, HEADER, "python it.py")
    return (folder / "page.md").read_text()


def test_outcomes_stay_and_half_a_line_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lines.jsonl"
    file = OutcomeFile(path)
    file.begin(HEADER)
    for number, each in enumerate(OUTCOMES):
        file.add(str(number), each)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"case": "8", "outc')
    again = OutcomeFile(path)
    assert list(again.done.values()) == OUTCOMES
    assert path.read_bytes() == whole
    again.begin(HEADER)
    assert path.read_bytes() == whole  # nothing is said twice
    with pytest.raises(RecordError, match="outcomes of another frames"):
        again.begin({**HEADER, "request": {**HEADER["request"], "frames": 6}})  # type: ignore[dict-item]
    main(["--outcomes", str(path), "--minutes", "0", "--json", str(tmp_path / "r.json"), "--page", str(tmp_path / "p")])
    assert json.loads((tmp_path / "r.json").read_text())["top1"]["count"] == 1
    assert "7 of 20 cases" in capsys.readouterr().out
    (tmp_path / "other").write_text("no lines\n")
    with pytest.raises(RecordError, match="no file of outcomes"):
        OutcomeFile(tmp_path / "other")
