"""Where in the model an object is lost when the clip becomes harder: the door to `maskscope diagnose`.

The clip is tracked as it is and once for each family of transformations, observed at the five positions. Where a
transformed run loses the object, it is run again with the clean run's activation at one position at a time: what
brings the object back tells which position lost it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from maskscope.errors import DatasetError, PromptError, SettingError
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.observe.blame import Blame, blame
from maskscope.observe.losses import Loss
from maskscope.observe.patching import Side, patch_positions
from maskscope.observe.reading import Reading
from maskscope.observe.recovery import Recovery
from maskscope.records import Record
from maskscope.report.page.diagnosis import Picture
from maskscope.report.page.page import write_page
from maskscope.studies.diagnosis_folder import DiagnosisFolder
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.looked_at import LookedAt, check_objects
from maskscope.studies.observe import ObserveOptions, Progress, back, facts, load, maker, with_masks
from maskscope.studies.observed_run import ObservedRun
from maskscope.studies.rows_of_runs import (
    MakeRecord,
    losses,
    notes_on,
    rows_of_blame,
    rows_of_onset,
    rows_of_readings,
    rows_of_scores,
)
from maskscope.studies.side_by_side import LOST_J, Disturbed, SideBySide, disturb
from maskscope.studies.stage_pictures import write_strips
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.transforms.base import SourceClip
from maskscope.transforms.chain import Recipe, transform
from maskscope.transforms.material import ClipMaterial
from maskscope.transforms.registry import family as find_family

log = logging.getLogger(__name__)

FAMILIES: Final = ("occlusion", "illumination", "speed", "viewpoint", "interjection")
CLEAN_LOSS: Final = (
    "the clip as it is loses the object there as well, or does not show that moment: nothing to take over"
)


@dataclass(frozen=True)
class DiagnoseOptions:
    """What is tried on a clip.

    Attributes:
        observe: how it is tracked; its `taps` are always measured on the clip as it is.
        families: of transformations, `family[/variant]`; those that cannot be made of the clip are left out.
        severity: 1 to 5.
        seed: of the transformations.
        intervene: find the stage to blame; without, a transformed run costs one pass instead of up to eight.
    """

    observe: ObserveOptions = field(default_factory=ObserveOptions)
    families: tuple[str, ...] = FAMILIES
    severity: int = 3
    seed: int = 0
    intervene: bool = True


@dataclass(frozen=True)
class ConditionSummary:
    """One run at a glance.

    Attributes:
        family: of the transformation; empty for the clip as it is.
        severity: likewise 0.
        j: mean over frames that show an object; None without any.
        losses: how often an object was lost.
        blamed: the positions that were blamed, one for each loss; None is not determined.
    """

    family: str
    severity: int
    j: float | None
    losses: int
    blamed: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class DiagnoseSummary:
    """What came of a diagnosis.

    Attributes:
        folder: where `records.parquet`, `pictures` and `report.html` are.
        report: the page; None where it was stopped, or cannot be made here (see `notes`).
        finished: False when it was stopped.
        annotated: whether masks were compared with given ones; else with the clean run's own.
        conditions: the clip as it is, then families.
        notes: what was left out, and why.
    """

    folder: Path
    report: Path | None
    finished: bool
    annotated: bool
    conditions: tuple[ConditionSummary, ...]
    notes: tuple[str, ...]


def diagnose_clip(
    clip: LookedAt,
    prompts: Sequence[Prompt],
    out: str | Path,
    options: DiagnoseOptions | None = None,
    *,
    model: SAM2 | None = None,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> DiagnoseSummary:
    """Track a clip clean and transformed, observe, intervene where the object is lost, and write records and a page.

    Whatever ends the work, the records of what was computed are readable, and say in their facts how far it came.

    Args:
        clip: see `look_at`.
        prompts: on its first frame; moved with the picture where a transformation moves it.
        out: the folder; made if need be.
        options: see `DiagnoseOptions`.
        model: used instead of loading `options.observe.model`.
        overwrite: replace earlier results there.
        command: how the program was called, for the facts.
        progress: called after each frame.
        stop: asked after each frame; True writes what came so far and returns.

    Raises:
        PromptError: a prompt that cannot mean an object, or an object that is never seen.
        SettingError: an unknown family, or a severity out of range.
        CheckpointError: the model cannot be had.
        OutputError: the folder holds other results, or cannot be written.
    """
    options = options or DiagnoseOptions()
    folder = DiagnosisFolder(out)
    folder.examine(overwrite)
    check_objects(prompts, clip.size)
    registry.policy(options.observe.policy)
    recipes = [Recipe.parse(text, options.severity, options.seed) for text in options.families]
    for recipe in recipes:
        find_family(recipe.family)  # an unknown one is refused before anything is computed
    model = model or load(options.observe)
    with folder_lock(folder.path):
        folder.clear()
        work = _Work(clip, list(prompts), folder, options, model, tuple(command), progress, stop)
        try:
            finished = work.go(recipes)
        except BaseException as error:
            work.leave("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        work.leave("finished" if finished else "stopped")
        report = None
        if finished:
            try:
                report = write_page(folder.path)
            except SettingError as error:
                work.notes.append(f"no page: {error}")
    return DiagnoseSummary(folder.path, report, finished, clip.annotated, tuple(work.conditions()), tuple(work.notes))


@dataclass(eq=False)
class _Work:
    """One call of `diagnose_clip`."""

    clip: LookedAt
    prompts: list[Prompt]
    folder: DiagnosisFolder
    options: DiagnoseOptions
    model: SAM2
    command: tuple[str, ...]
    progress: Callable[[Progress], None]
    stop: Callable[[], bool]
    notes: list[str] = field(default_factory=list)
    runs: SideBySide | None = None
    patched: list[tuple[Disturbed, list[Reading]]] = field(default_factory=list)
    blames: list[tuple[Disturbed, list[Blame]]] = field(default_factory=list)
    more: list[Record] = field(default_factory=list)
    whole: bool = False  # all runs came to their ends

    def __post_init__(self) -> None:
        self.record = maker(self.clip, self.prompts, self.model, self.options.observe)

    def go(self, recipes: Sequence[Recipe]) -> bool:
        """True if nothing stopped it."""
        observe = self.options.observe
        source, there = with_masks(self.model, self.clip, self.prompts, observe.policy, self.progress, self.stop)
        if source is None or not there:
            return False
        disturbed = list(self._disturbed(source, recipes))
        runs = self.runs = SideBySide(
            self.model, source, self.prompts, disturbed, observe.policy, self.folder.path, self.clip.fps
        )

        def tick() -> bool:
            self.progress(Progress("tracking and observing", runs.done, runs.total))
            return self.stop()

        self.whole = runs.go(tick)
        if not self.whole:
            return False
        self.more += back(
            self.model, source, observe.policy, runs.clean.object_ids, self.record, self.progress, self.stop
        )
        for each in disturbed if self.options.intervene else ():
            if self.stop() or not self._intervene(each, source):
                return False
        return True

    def _disturbed(self, source: SourceClip, recipes: Sequence[Recipe]) -> Iterator[Disturbed]:
        for recipe in recipes:
            try:
                yield disturb(recipe, transform(source, [recipe], ClipMaterial()), self.prompts)
            except (DatasetError, PromptError) as error:
                self.notes.append(f"{recipe} was left out: {error.problem}.")
                log.warning("%s is left out: %s", recipe, error.problem)

    def _intervene(self, each: Disturbed, source: SourceClip) -> bool:
        """Patch every object that was lost, as far as it was lost; True if nothing stopped it."""
        assert self.runs is not None
        clean = self.runs.clean.readings(calibrated=False)
        disturbed = each.run.readings(calibrated=False)
        found = losses(each.run)
        for object_id in sorted({loss.object for loss in found}):
            mine = [loss for loss in found if loss.object == object_id]
            if not any(self._held(each, loss) for loss in mine):  # nothing to bring back: that would be passes in vain
                self.blames.append((each, [Blame(loss, None, 0.0, CLEAN_LOSS, "", ()) for loss in mine]))
                continue
            until = max(loss.last for loss in mine) + 1
            recovery = Recovery(object_id, each.run.true_masks, self.runs.clean.true_masks)
            readings: list[Reading] = []
            self.patched.append((each, readings))
            for step in patch_positions(
                Side(self.model, lambda t: source.at(t).image_hwc, source.num_frames, _of(self.prompts, object_id)),
                Side(self.model, lambda t: each.clip.at(t).image_hwc, until, _of(each.prompts, object_id)),
                counterparts=each.counterpart,
                policy=self.options.observe.policy,
                options=SessionOptions(num_frames=each.clip.num_frames),
            ):
                readings += recovery.add(step)
                self.progress(Progress(f"intervening: {each.recipe.family}", step.frame_index + 1, until))
                if self.stop():
                    return False
            readings += recovery.summary()
            self.blames.append((each, blame(clean, disturbed, readings, counterparts=each.same_moments)))
        return True

    def _held(self, each: Disturbed, loss: Loss) -> bool:
        """Whether the clean run does better on a lost frame."""
        assert self.runs is not None
        clean = {one.frame: one.success for one in self.runs.clean.scored if one.object == loss.object}
        moments = each.same_moments
        return any(t in moments and clean.get(moments[t], 0.0) >= LOST_J for t in loss.frames)

    # -- results ------------------------------------------------------------------------------------------------------

    def leave(self, status: str) -> None:
        """Write the records and pictures of what was computed."""
        rows: list[Record] = list(self.more)
        pictures: list[Picture] = []
        notes = list(self.notes)
        if self.runs is not None:
            clean = self.runs.clean
            readings = clean.readings(calibrated=self.clip.annotated)
            notes += notes_on(readings, clean.object_ids)
            rows = [*self._rows(clean, self.record, self.clip.annotated), *rows]
            rows += _of_clean_losses(losses(clean), self.record)
            if self.whole:
                rows += rows_of_onset(readings, self.model, self.record)
            bases = self.runs.snapshots.bases()
            pictures = write_strips(self.folder.path, self.clip.name, self.runs.snapshots, bases)
            for each in self.runs.disturbed:
                record = self._maker(each.recipe)
                rows += self._rows(each.run, record, True)
                rows += rows_of_readings(each.filtering.readings(), record)
                for other, patched in self.patched:
                    rows += rows_of_readings(patched, record) if other is each else ()
                for other, blames in self.blames:
                    rows += rows_of_blame(blames, record) if other is each else ()
                family, severity = each.recipe.family, each.recipe.severity
                pictures += write_strips(self.folder.path, self.clip.name, each.snapshots, bases, family, severity)
            pictures += self.runs.videos(self.clip.name)
        said = facts(self.clip, self.options.observe, self.command, status, notes)
        self.folder.write(rows, replace(said, pictures=tuple(pictures)))

    def _rows(self, run: ObservedRun, record: MakeRecord, calibrated: bool) -> list[Record]:
        return [*rows_of_scores(run, record), *rows_of_readings(run.readings(calibrated), record)]

    def _maker(self, recipe: Recipe) -> MakeRecord:
        def record(**columns: object) -> Record:
            return replace(
                self.record(**columns),
                transform=str(recipe),
                family=recipe.family if recipe.variant is None else f"{recipe.family}/{recipe.variant}",
                severity=recipe.severity,
                seed=recipe.seed,
            )

        return record

    def conditions(self) -> Iterator[ConditionSummary]:
        """The runs at a glance."""
        if self.runs is None:
            return
        yield ConditionSummary("", 0, _mean_j(self.runs.clean), len(losses(self.runs.clean)))
        for each in self.runs.disturbed:
            blamed = tuple(one.stage for other, blames in self.blames if other is each for one in blames)
            j, lost = _mean_j(each.run), len(losses(each.run))
            yield ConditionSummary(each.recipe.family, each.recipe.severity, j, lost, blamed)


def _of(prompts: Sequence[Prompt], object_id: int) -> dict[int, list[Prompt]]:
    return {0: [prompt for prompt in prompts if prompt.object_id == object_id]}


def _mean_j(run: ObservedRun) -> float | None:
    values = [each.j for each in run.scored if each.j is not None]
    return sum(values) / len(values) if values else None


def _of_clean_losses(found: Sequence[Loss], record: MakeRecord) -> list[Record]:
    """Nobody is blamed for what the clean run loses."""
    nobody = [Blame(loss, None, 0.0, CLEAN_LOSS, "", ()) for loss in found]
    return list(rows_of_blame(nobody, record))
