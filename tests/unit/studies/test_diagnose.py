"""Observation and diagnosis of a tiny clip by a tiny model: what is measured, what is left behind, what stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.errors import DatasetError, OutputError, PromptError, SettingError
from maskscope.model import SAM2
from maskscope.observe.ablation import ABLATIONS, AT
from maskscope.records import Record, read_facts, read_records
from maskscope.report.page.diagnosis import Facts, open_diagnosis
from maskscope.stages import STAGES
from maskscope.studies.diagnose import DiagnoseOptions, DiagnoseSummary, diagnose_clip
from maskscope.studies.kept_cells import read_cells
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.observe import ObserveOptions, Progress, observe_clip
from maskscope.studies.observed_run import Instruments, ObservedRun
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.transforms.base import SourceClip
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask

FRAMES = 6
Rows = list[Record]


@dataclass(frozen=True, eq=False)
class Square:
    """The drifting square, with its mask on every frame."""

    name: str = "square"
    num_frames: int = FRAMES
    size: tuple[int, int] = (SIDE, SIDE)
    mask_of: Callable[[int], NDArray[np.bool_]] = field(default=lambda t: square_mask(t, SIDE, SIDE))

    def frame(self, index: int) -> NDArray[np.uint8]:
        return FILM[index]

    def masks(self, index: int) -> NDArray[np.uint8]:
        return self.mask_of(index).astype(np.uint8)


FILM = moving_square(FRAMES, SIDE, SIDE)


def clip(source: Square | None = None, annotated: bool = True, num_frames: int = FRAMES) -> LookedAt:
    return LookedAt("square", num_frames, (SIDE, SIDE), None, 0, FRAMES, annotated, source or Square())


@pytest.fixture(scope="module")
def model() -> SAM2:
    return tiny_model()


def rows_of(folder: Path) -> tuple[Rows, Facts]:
    file = folder / "records.parquet"
    return read_records(file), Facts.from_json(read_facts(file))


def pick(rows: Rows, metric: str, **columns: object) -> Rows:
    return [row for row in rows if row.metric == metric and all(getattr(row, k) == v for k, v in columns.items())]


def after(count: int) -> Callable[[], bool]:
    """Stops when asked that often."""
    asked = iter(range(count))
    return lambda: next(asked, None) is None


def test_an_observed_run_has_the_masks_of_an_unobserved_one(model: SAM2) -> None:
    seen = SourceClip(Square())
    prompts = clip().prompts()
    run = ObservedRun(model, seen, prompts, "stock", Instruments(taps=True, every=1, wants_maps=lambda _: True))
    bare = Tracker(model, "stock", SessionOptions(num_frames=FRAMES))
    for t in range(FRAMES):
        expected = bare.step(seen.at(t).image_hwc, prompts if t == 0 else ()).masks[0]
        step = run.step()
        truth = square_mask(t, SIDE, SIDE)
        assert np.array_equal(step.masks[1], expected)
        assert step.scored[0].j == (expected & truth).sum() / (expected | truth).sum()
    assert run.done
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    found = run.readings()
    for metric in (
        "early_j",
        "attention_entropy",
        "stored_token_iou.own",
        "pointer_influence_mass",
        "predicted_iou.ece",
    ):
        assert any(reading.metric == metric and reading.value is not None for reading in found), metric
    assert {r.stage for r in found if r.metric == "window_distance"} == set(STAGES)


def test_given_masks_are_the_truth(model: SAM2, tmp_path: Path) -> None:
    summary = observe_clip(clip(), clip().prompts(), tmp_path, ObserveOptions(attention=False), model=model)
    rows, facts = rows_of(tmp_path)
    assert (summary.finished, summary.num_frames, summary.num_records) == (True, FRAMES, len(rows))
    assert {row.protocol for row in rows} == {"truth: annotated"}
    assert (facts.truth, facts.status) == ("annotated", "finished")
    j = [row.value for row in pick(rows, "j")]
    assert len(j) == FRAMES
    assert summary.j == pytest.approx(np.mean(j))
    assert not pick(rows, "forward_backward_j")


def test_without_masks_the_first_run_stands_in_and_that_is_said(model: SAM2, tmp_path: Path) -> None:
    summary = observe_clip(
        clip(annotated=False), clip().prompts(), tmp_path, ObserveOptions(attention=False), model=model
    )
    rows, facts = rows_of(tmp_path)
    assert {row.protocol for row in rows} == {"truth: clean run"}
    assert facts.truth == "clean run"
    assert not summary.annotated
    assert {row.value for row in pick(rows, "j")} <= {1.0, None}
    assert not pick(rows, "predicted_iou.ece")  # nothing to be calibrated against
    back = pick(rows, "forward_backward_j")
    assert [row.frame for row in back] == list(range(back[0].frame or 0, -1, -1))
    assert all(row.value is None or 0 <= row.value <= 1 for row in back)


@pytest.mark.parametrize(
    ("mask_of", "said"),
    [
        (lambda t: square_mask(t, SIDE, SIDE) & (np.indices((SIDE, SIDE)).sum(0) % 17 == 0), "too small"),
        (lambda t: np.ones((SIDE, SIDE), bool), "fills the frame"),
    ],
)
def test_objects_that_cannot_be_told_from_a_background(
    model: SAM2, tmp_path: Path, mask_of: Callable[[int], NDArray[np.bool_]], said: str
) -> None:
    odd = clip(Square(mask_of=mask_of), num_frames=3)
    summary = observe_clip(odd, odd.prompts(), tmp_path, ObserveOptions(attention=False), model=model)
    assert len(summary.notes) == 1
    assert said in summary.notes[0]
    states = {row.state for row in pick(rows_of(tmp_path)[0], "separation_auc", stage="image_embedding")}
    assert states in ({"lost at this stride"}, {"fills the frame"})


@pytest.mark.parametrize(("odd", "said"), [("small", "too small"), ("whole", "fills the frame")])
def test_a_diagnosis_of_an_object_without_cells_says_so_on_its_page(
    model: SAM2, tmp_path: Path, odd: str, said: str
) -> None:
    dots = np.indices((SIDE, SIDE)).sum(0) % 17 == 0
    shown = {"small": lambda t: square_mask(t, SIDE, SIDE) & dots, "whole": lambda t: np.ones((SIDE, SIDE), bool)}
    film = clip(Square(mask_of=shown[odd]), num_frames=3)
    options = DiagnoseOptions(
        ObserveOptions(attention=False), ("illumination",), intervene=False, ablate=False, cells="cells-odd.npz"
    )
    summary = diagnose_clip(film, film.prompts(), tmp_path, options, model=model)
    assert summary.finished
    assert summary.report is not None
    assert said in summary.report.read_text(encoding="utf-8")
    assert any(said in note for note in summary.notes)  # the command says it, too
    assert read_cells(tmp_path / "cells-odd.npz") == []  # it takes no part in read-outs of other clips


def test_a_clip_whose_object_is_never_visible_is_refused() -> None:
    never = clip(Square(mask_of=lambda t: np.zeros((SIDE, SIDE), bool)))
    with pytest.raises(DatasetError) as refused:
        never.prompts()
    assert len(str(refused.value).splitlines()) == 1


def test_an_object_that_the_model_never_shows_is_refused(tmp_path: Path) -> None:
    blind = tiny_model()
    blind.mask_decoder.pred_obj_score_head.layers[2].bias.data.fill_(-50.0)  # type: ignore[union-attr, operator]
    with pytest.raises(PromptError, match="seen on no frame"):
        observe_clip(clip(annotated=False), clip().prompts(), tmp_path / "out", model=blind)


@pytest.fixture(scope="module")
def identity(model: SAM2, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Diagnosis by transformations of severity 0, which change nothing."""
    folder = tmp_path_factory.mktemp("identity")
    options = DiagnoseOptions(ObserveOptions(attention=False), ("illumination",), severity=0)
    summary = diagnose_clip(clip(annotated=False), clip().prompts(), folder, options, model=model, overwrite=True)
    assert summary.finished
    return folder


def test_what_changes_nothing_is_found_to_change_nothing(identity: Path) -> None:
    rows, _ = rows_of(identity)
    distances = [row for row in rows if row.metric.startswith("filtering_distance")]
    assert distances
    assert all(row.value in (0.0, None) for row in distances)
    assert all(row.value is None or row.value > 0.999 for row in rows if row.metric.startswith("cka"))
    assert not [row for row in rows if row.family and row.metric in ("loss", "blame")]
    for metric in ("j", "fisher_ratio", "pointer_cosine.first"):
        clean, other = (
            {(r.stage, r.frame): r.value for r in pick(rows, metric, family=family, tap="")}
            for family in ("", "illumination")
        )
        both = [key for key in clean if clean[key] is not None and other.get(key) is not None]
        assert both
        assert all(clean[key] == other[key] for key in both), metric


@pytest.fixture(scope="module")
def dark(model: SAM2, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DiagnoseSummary]:
    """A model without training loses all of what it showed as soon as the light changes."""
    folder = tmp_path_factory.mktemp("dark")
    options = DiagnoseOptions(ObserveOptions(attention=False), ("corruption",), severity=5, reverse=True)
    seen: list[str] = []
    summary = diagnose_clip(
        clip(annotated=False),
        clip().prompts(),
        folder,
        options,
        model=model,
        progress=lambda p: seen.append(p.stage),
    )
    assert list(dict.fromkeys(seen))[-1].startswith("intervening")
    return folder, summary


def test_a_lost_object_is_patched_and_blamed(dark: tuple[Path, DiagnoseSummary]) -> None:
    folder, summary = dark
    rows, facts = rows_of(folder)
    lost = pick(rows, "loss", family="corruption")
    assert lost
    assert len(pick(rows, "blame", family="corruption")) == len(lost) == summary.conditions[1].losses
    assert len(summary.conditions[1].blamed) == len(lost)
    # The clean run's attended tokens give its masks, to the last pixel: here they are the truth.
    patched = pick(rows, "patched_j", stage="prompt_attended")
    assert {row.value for row in patched if row.frame} == {1.0}
    assert pick(rows, "recovered_j", stage="prompt_attended", frame=None)[0].value == pytest.approx(1.0)
    assert {row.severity for row in rows if row.family} == {5}
    assert facts.status == "finished"


def test_the_reverse_carries_over_and_sources_are_taken_away(dark: tuple[Path, DiagnoseSummary]) -> None:
    rows, _ = rows_of(dark[0])
    carried = {row.stage: row.value for row in pick(rows, "carried_j", frame=None, family="corruption")}
    assert set(carried) == set(STAGES)
    assert carried["prompt_attended"] == pytest.approx(1.0)  # the disturbed run's attended tokens give its masks
    assert not pick(rows, "clean_j", frame=None)
    assert len(pick(rows, "clean_j")) == len({(row.frame, row.object) for row in pick(rows, "clean_j")})
    lost = pick(rows, "ablation_loss")
    assert [(row.tap, row.stage, row.family) for row in lost] == [(what, AT[what], "") for what in ABLATIONS]
    intact = {row.frame: row.value for row in pick(rows, "intact_j")}
    without = {row.frame: row.value for row in pick(rows, "ablated_j", tap="pointers")}
    assert intact.keys() == without.keys() == set(range(1, FRAMES))
    # Where the truth shows nothing there is a state: absence counts 1, a false alarm 0.
    if None not in (*intact.values(), *without.values()):
        difference = np.mean([float(intact[t] or 0) - float(without[t] or 0) for t in intact])
        assert pick(rows, "ablation_loss", tap="pointers")[0].value == pytest.approx(difference)


TWO = DiagnoseOptions(ObserveOptions(attention=False), ("corruption", "illumination"), severity=5)


@pytest.fixture(scope="module")
def whole(model: SAM2, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two families, without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    assert diagnose_clip(clip(annotated=False), clip().prompts(), folder, TWO, model=model).finished
    assert not (folder / "parts").exists()
    return folder


@pytest.mark.parametrize("gently", [True, False])
def test_a_stopped_diagnosis_goes_on_and_ends_as_if_it_had_not_been_stopped(
    model: SAM2, whole: Path, tmp_path: Path, gently: bool
) -> None:
    seen: list[str] = []

    def show(progress: Progress) -> None:
        seen.append(progress.stage)
        if not gently and progress.stage == "intervening: illumination":
            raise MemoryError("planted")

    def run(**more: Any) -> DiagnoseSummary:
        return diagnose_clip(clip(annotated=False), clip().prompts(), tmp_path, TWO, model=model, **more)

    if gently:
        assert not run(progress=show, stop=lambda: seen[-1] == "intervening: illumination").finished
    else:
        with pytest.raises(MemoryError):
            run(progress=show)
    rows, facts = rows_of(tmp_path)
    assert facts.status == ("stopped" if gently else "failed")
    assert pick(rows, "blame", family="corruption")
    assert not pick(rows, "recovered_j", family="illumination")
    (tmp_path / "parts" / "patched-corruption-5.parquet").write_bytes(b"half of it")
    again: list[str] = []
    summary = run(progress=lambda progress: again.append(progress.stage))
    assert summary.finished
    # What is damaged is computed again, what is whole is not.
    assert list(dict.fromkeys(again)) == ["intervening: corruption", "intervening: illumination"]
    assert rows_of(tmp_path)[0] == rows_of(whole)[0]
    assert rows_of(tmp_path)[1] == rows_of(whole)[1]
    assert len(summary.conditions) == 3
    assert not (tmp_path / "parts").exists()
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        path.name for path in (whole / "pictures").iterdir()
    }


def test_what_was_begun_belongs_to_its_request(model: SAM2, tmp_path: Path) -> None:
    options = replace(TWO, families=("illumination",))

    def run(options: DiagnoseOptions, **more: Any) -> DiagnoseSummary:
        return diagnose_clip(clip(annotated=False), clip().prompts(), tmp_path, options, model=model, **more)

    def killed(progress: Progress) -> None:
        if progress.stage == "tracking and observing":
            raise SystemExit

    with pytest.raises(SystemExit):
        run(options, progress=killed)
    (tmp_path / "records.parquet").unlink()  # killed before it could write
    with pytest.raises(OutputError, match=r"holds .*parts already"):
        run(replace(options, seed=1))
    seen: list[str] = []
    run(options, progress=lambda p: seen.append(p.stage), stop=lambda: seen[-1] != "tracking")
    assert "tracking" not in seen  # its masks were kept
    seen.clear()
    run(options, progress=lambda p: seen.append(p.stage), stop=lambda: True, overwrite=True)
    assert seen == ["tracking"]


def test_pictures_are_there_and_listed(dark: tuple[Path, DiagnoseSummary]) -> None:
    folder, summary = dark
    facts = open_diagnosis(folder).facts
    there = {str(path.relative_to(folder)) for path in (folder / "pictures").iterdir()}
    assert {picture.file for picture in facts.pictures} == there
    clean = {(picture.frame, picture.panel) for picture in facts.pictures if not picture.family}
    assert {panel for frame, panel in clean if frame == 1} == {"input", "mask", *STAGES}
    assert [picture.family for picture in facts.pictures if picture.kind == "overlay"] == ["corruption"]
    assert summary.report == folder / "report.html"
    assert summary.report.stat().st_size > 1000


@pytest.mark.parametrize("asked", [2, FRAMES + 3, 3 * FRAMES + 2])
def test_what_was_computed_before_an_interruption_can_be_read(model: SAM2, tmp_path: Path, asked: int) -> None:
    options = DiagnoseOptions(ObserveOptions(attention=False), ("illumination",), severity=5)
    summary = diagnose_clip(clip(annotated=False), clip().prompts(), tmp_path, options, model=model, stop=after(asked))
    rows, facts = rows_of(tmp_path)
    assert not summary.finished
    assert summary.report is None
    assert facts.status == "stopped"
    assert len(pick(rows, "j", family="")) == (0 if asked < FRAMES else 3 if asked < 2 * FRAMES else FRAMES)


def test_an_error_leaves_records_that_say_so(model: SAM2, tmp_path: Path) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        diagnose_clip(clip(), clip().prompts(), tmp_path, DiagnoseOptions(families=()), model=model, progress=broken)
    rows, facts = rows_of(tmp_path)
    assert facts.status == "failed"
    assert len(pick(rows, "j")) == 1


def test_refusals_come_before_the_work(model: SAM2, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no family"):
        diagnose_clip(clip(), clip().prompts(), tmp_path / "a", DiagnoseOptions(families=("ilumination",)), model=model)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "records.parquet").write_bytes(b"someone's")
    with pytest.raises(OutputError, match="--overwrite"):
        diagnose_clip(clip(), clip().prompts(), tmp_path / "b", model=model)
    assert (tmp_path / "b" / "records.parquet").read_bytes() == b"someone's"
    assert not (tmp_path / "a").exists()
