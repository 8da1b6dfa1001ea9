"""A readiness run of a tiny clip by a tiny model: what it leaves, how it goes on, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.errors import OutputError, PromptError, SettingError, VideoError
from maskscope.model import SAM2
from maskscope.readiness.budget import Budget
from maskscope.readiness.cost import cost_inputs
from maskscope.readiness.figure import STATES
from maskscope.readiness.parts import AXES, MEASURES
from maskscope.readiness.result import ReadinessResult
from maskscope.records import read_facts, read_records
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.readiness import study
from maskscope.studies.readiness.study import ReadinessOptions, assess_readiness
from maskscope.tracking.prompts import Prompt
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask

FRAMES = 24
SMALL = Budget(
    window_frames=5, bisections=1, play_frames=4, lead_frames=3, return_frames=2, lengths_frames=(1, 3),
    occlusion_moments=1,
)  # fmt: skip
FILM = moving_square(FRAMES, SIDE, SIDE)


@dataclass(frozen=True, eq=False)
class Square:
    """The drifting square, with its mask on every frame."""

    name: str = "square"
    num_frames: int = FRAMES
    size: tuple[int, int] = (SIDE, SIDE)
    film: list[NDArray[np.uint8]] = field(default_factory=lambda: FILM)
    mask_of: Callable[[int], NDArray[np.bool_]] = field(default=lambda t: square_mask(t, SIDE, SIDE))

    def frame(self, index: int) -> NDArray[np.uint8]:
        return self.film[index]

    def masks(self, index: int) -> NDArray[np.uint8]:
        return self.mask_of(index).astype(np.uint8)


def clip(source: Square | None = None, num_frames: int = FRAMES, fps: float | None = 25.0) -> LookedAt:
    return LookedAt("square", num_frames, (SIDE, SIDE), fps, 0, FRAMES, True, source or Square())


PROMPTS = [Prompt(1, mask=square_mask(0, SIDE, SIDE))]


@pytest.fixture(scope="module")
def model() -> SAM2:
    return tiny_model()


@dataclass(frozen=True)
class Runs:
    """One run that was stopped, went on, and was asked again with other costs."""

    folder: Path
    stopped_rows: int
    kept: int
    status: str
    result: ReadinessResult
    again: ReadinessResult
    frames: tuple[int, int, int]


@pytest.fixture(scope="module")
def runs(model: SAM2, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("readiness") / "out"
    options, frames = ReadinessOptions(budget=SMALL), []

    def run(stop_after: int | None = None, overwrite: bool = False, costs: float | None = None):  # type: ignore[no-untyped-def]
        count = 0

        def progress(_: object) -> None:
            nonlocal count
            count += 1

        asked = options if costs is None else ReadinessOptions(budget=SMALL, costs=cost_inputs(miss=costs))
        summary = assess_readiness(
            clip(), PROMPTS, folder, asked, model=model, overwrite=overwrite, progress=progress,
            stop=lambda: stop_after is not None and count >= stop_after,
        )  # fmt: skip
        frames.append(count)
        return summary

    stopped = run(stop_after=80)
    assert stopped.result is None
    rows, facts = read_records(folder / "records.parquet"), read_facts(folder / "records.parquet")
    done = run()
    again = run(overwrite=True, costs=500.0)
    assert done.result is not None
    assert again.result is not None
    return Runs(folder, len(rows), stopped.passes_kept, facts["status"], done.result, again.result, tuple(frames))  # type: ignore[arg-type]


def test_an_interrupted_run_leaves_records_and_goes_on(runs: Runs) -> None:
    assert runs.status == "stopped"
    assert runs.stopped_rows > 0
    assert runs.kept > 0
    # A pass that was taken over reports once, whatever its frames.
    assert runs.frames[1] < runs.result.frames_tracked
    assert runs.result.seconds == 0.0


def test_other_costs_take_the_passes_over(runs: Runs) -> None:
    # The clip itself is tracked again, a few dozen frames; everything else is there.
    assert runs.frames[2] <= FRAMES + runs.result.passes
    assert runs.again.sweeps == runs.result.sweeps
    assert runs.again.endurance == runs.result.endurance
    assert runs.again.cost.inputs.miss == 500.0


def test_the_result_comes_back_and_has_every_part(runs: Runs) -> None:
    result = ReadinessResult.read(runs.folder / "readiness.json")
    assert result == runs.again
    assert tuple(each.axis for each in result.sweeps) == AXES
    assert {each.measure for each in result.picture} == set(MEASURES)
    assert [each.policy for each in result.endurance] == ["stock", "composite"]
    assert result.clip.truth == "given"
    for sweep in result.sweeps:
        assert sweep.points[0].retention.value == pytest.approx(1)
        assert [abs(each.level - sweep.present) for each in sweep.points] == sorted(
            abs(each.level - sweep.present) for each in sweep.points
        )


def test_every_number_can_be_traced_to_a_record(runs: Runs) -> None:
    rows = read_records(runs.folder / "records.parquet")
    figures = runs.again.figures()
    known = {row.metric: row for row in rows if row.metric.startswith("figure.")}
    for name, figure in figures.items():
        row = known[f"figure.{name}"]
        assert row.value == figure.value, name
        assert figure.value is not None or row.state in STATES, name
    conditions = {row.transform for row in rows if row.metric == "j"}
    shown = {point.transform for sweep in runs.again.sweeps for point in sweep.points}
    assert shown <= conditions
    metrics = [row.metric for row in rows if row.metric.startswith(("figure.", "interval."))]
    assert len(metrics) == len(set(metrics)), "each number has one row"
    for advice in runs.again.plan:
        assert advice.cites
        assert set(advice.cites) <= set(figures)


def test_a_point_of_a_sweep_is_the_mean_of_its_rows(runs: Runs) -> None:
    rows = read_records(runs.folder / "records.parquet")
    point = runs.again.sweeps[0].points[-1]
    values = [
        row.value for row in rows if row.transform == point.transform and row.metric == "j" and row.value is not None
    ]
    assert point.j.value == pytest.approx(np.mean(values))


def test_work_stays_in_its_budget(runs: Runs) -> None:
    assert runs.result.frames_tracked <= SMALL.frames(FRAMES, own_truth=False) + 5


def test_a_finished_result_is_not_written_over(runs: Runs, model: SAM2) -> None:
    with pytest.raises(OutputError, match="holds results already"):
        assess_readiness(clip(), PROMPTS, runs.folder, ReadinessOptions(budget=SMALL), model=model)


def test_passes_of_something_else_are_not_mixed_in(runs: Runs, model: SAM2, tmp_path: Path) -> None:
    (tmp_path / "passes").mkdir()
    (tmp_path / "passes" / "request.json").write_text('{"request": "other"}')
    (tmp_path / "passes" / "0123.json").write_text("{}")
    with pytest.raises(OutputError, match="unfinished run of something else"):
        assess_readiness(clip(), PROMPTS, tmp_path, ReadinessOptions(budget=SMALL), model=model)


def test_passes_at_another_frame_rate_are_not_taken_over(model: SAM2, tmp_path: Path) -> None:
    """A level of frames a second leaves other frames out then."""

    def stopped(fps: float | None) -> None:
        options, ticks = ReadinessOptions(budget=SMALL), iter(range(80))
        assess_readiness(clip(fps=fps), PROMPTS, tmp_path, options, model=model, stop=lambda: next(ticks, None) is None)

    stopped(25.0)
    stopped(None)  # 25 are taken
    with pytest.raises(OutputError, match="unfinished run of something else"):
        stopped(50.0)


def test_ranges_of_another_model_are_refused(runs: Runs, model: SAM2, tmp_path: Path) -> None:
    good = replace(runs.result, clip=replace(runs.result.clip, model="large"))
    options = ReadinessOptions(budget=SMALL, reference=good)
    with pytest.raises(SettingError, match="has ranges of the model large, this run is of compact"):
        assess_readiness(clip(), PROMPTS, tmp_path / "x", options, model=model)


def test_a_short_clip_says_what_length_would_do(model: SAM2, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"12 frames .* too short .* give 24 at least; 10 s \(250 frames\)"):
        assess_readiness(clip(num_frames=12), PROMPTS, tmp_path / "x", model=model)


def test_a_black_clip_is_refused(model: SAM2, tmp_path: Path) -> None:
    black = [FILM[0]] + [np.zeros_like(FILM[0])] * (FRAMES - 1)
    with pytest.raises(VideoError, match="96% of the frames of square are black"):
        assess_readiness(clip(Square(film=black)), PROMPTS, tmp_path / "x", model=model)
    with pytest.raises(VideoError, match="the frame on which the object is marked is black"):
        assess_readiness(clip(Square(film=black[::-1])), PROMPTS, tmp_path / "y", model=model)
    assert not list(tmp_path.iterdir())  # nothing is left that a better command would stumble over


def test_a_prompt_beside_the_object_is_refused(model: SAM2, tmp_path: Path) -> None:
    beside = np.zeros((SIDE, SIDE), bool)
    beside[-12:, -12:] = True
    with pytest.raises(PromptError, match="is not what the given masks show there"):
        assess_readiness(clip(), [Prompt(1, mask=beside)], tmp_path / "x", model=model)


def test_an_object_that_is_never_seen_again_is_refused(model: SAM2, tmp_path: Path) -> None:
    once = Square(mask_of=lambda t: square_mask(t, SIDE, SIDE) & (t == 0))
    with pytest.raises(PromptError, match="is seen on any frame behind"):
        assess_readiness(clip(once), PROMPTS, tmp_path / "x", model=model)


@pytest.mark.parametrize(
    ("options", "said"), [({"lang": "fr"}, "'fr'.*en or ja"), ({"keep": 0.0}, "--keep"), ({"keep": 1.2}, "--keep")]
)
def test_options_out_of_range_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        ReadinessOptions(**options)  # type: ignore[arg-type]


def test_the_machine_decides_how_much_is_tried_once_and_the_page_says_so(
    model: SAM2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = replace(SMALL, lengths_frames=(1,))
    monkeypatch.setattr(study, "QUICK", less)
    monkeypatch.setattr(study, "BUDGETS", {"standard": SMALL, "quick": less})
    speeds: list[float] = []

    def affordable(num_frames: int, own_truth: bool, seconds_a_frame: float) -> Budget:
        speeds.append(seconds_a_frame)
        return less

    told: list[float] = []

    def told_minutes(num_frames: int, own_truth: bool, seconds_a_frame: float) -> int:
        told.append(seconds_a_frame)
        return 9

    monkeypatch.setattr(study, "affordable", affordable)
    monkeypatch.setattr(study, "told_minutes", told_minutes)
    options, count, out = ReadinessOptions(budget=None), 0, tmp_path / "out"

    def stop() -> bool:
        nonlocal count
        count += 1
        return count == FRAMES + 20

    assert assess_readiness(clip(), PROMPTS, out, options, model=model, stop=stop).result is None
    assert len(speeds) == 1
    assert 0 < speeds[0] < 5
    done = assess_readiness(clip(), PROMPTS, out, options, model=model)
    assert len(speeds) == 1, "a run that goes on has chosen"
    assert done.result is not None
    [half] = [note for note in done.notes if note.startswith("Half of the measurements were made")]
    assert told == speeds * 2, "not the time that reading finished passes took"
    given = assess_readiness(clip(), PROMPTS, tmp_path / "given", replace(options, budget=less), model=model)
    assert given.result is not None
    assert given.result.endurance == done.result.endurance
    assert given.result.sweeps == done.result.sweeps
    assert half in given.notes, "also where it was asked for"
