"""The work of a diagnosis, part by part: runs side by side, the way back, ablations, interventions, and their rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from maskscope.errors import DatasetError, PromptError
from maskscope.model import SAM2
from maskscope.observe.measures.other_clips import CellKeeper, sampled_frames
from maskscope.records import Record
from maskscope.report.page.diagnosis import Picture
from maskscope.studies.diagnosis_folder import DiagnosisFolder
from maskscope.studies.diagnosis_parts import Part, Parts
from maskscope.studies.interventions import Intervention, Stopped, TrackedRun, ablations, nobody
from maskscope.studies.keeping import Keeping
from maskscope.studies.kept_cells import write_cells
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.observe import ObserveOptions, Progress, back, facts, maker, with_masks
from maskscope.studies.observed_run import ObservedRun
from maskscope.studies.own_masks import SelfLabelled
from maskscope.studies.rows_of_runs import (
    MakeRecord,
    losses,
    notes_on,
    rows_of_blame,
    rows_of_onset,
    rows_of_readings,
    rows_of_scores,
)
from maskscope.studies.side_by_side import Disturbed, SideBySide, disturb
from maskscope.studies.stage_pictures import write_strips
from maskscope.tracking.prompts import Prompt
from maskscope.transforms.base import SourceClip
from maskscope.transforms.chain import Recipe, transform
from maskscope.transforms.material import ClipMaterial

log = logging.getLogger(__name__)

FAMILIES: Final = ("occlusion", "illumination", "speed", "viewpoint", "interjection")


@dataclass(frozen=True)
class DiagnoseOptions:
    """What is tried on a clip.

    Attributes:
        observe: how it is tracked; its `taps` are always measured on the clip as it is.
        families: of transformations, `family[/variant]`; those that cannot be made of the clip are left out.
        severity: 1 to 5.
        seed: of the transformations.
        intervene: find the stage to blame; without, a transformed run costs one pass instead of up to eight.
        reverse: also put the disturbed activations into the clean run, where an object is lost: seven passes more.
        ablate: also track the clip as it is without each source of memory and without the finer levels: five passes
            for each object.
        cells: name of a file in the folder for samples of the clip's cells, with which read-outs of other clips are
            fitted and tested; empty keeps none.
    """

    observe: ObserveOptions = field(default_factory=ObserveOptions)
    families: tuple[str, ...] = FAMILIES
    severity: int = 3
    seed: int = 0
    intervene: bool = True
    reverse: bool = False
    ablate: bool = True
    cells: str = ""


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


@dataclass(eq=False)
class Work:
    """One call of `maskscope.studies.diagnose.diagnose_clip`."""

    clip: LookedAt
    prompts: list[Prompt]
    folder: DiagnosisFolder
    parts: Parts
    options: DiagnoseOptions
    model: SAM2
    command: tuple[str, ...]
    progress: Callable[[Progress], None]
    stop: Callable[[], bool]
    keeping: Keeping | None = None
    notes: list[str] = field(default_factory=list)
    found: dict[str, Part] = field(default_factory=dict)  # what is done, in the order of the records
    stopped: bool = False
    runs: SideBySide | None = None  # while they are under way
    transformed: list[Disturbed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.record = maker(self.clip, self.prompts, self.model, self.options.observe)

    def go(self, recipes: Sequence[Recipe]) -> None:
        """All parts that are not done.

        Raises:
            Stopped: by `stop`.
        """
        source = self._source()
        self.transformed = list(self._disturbed(source, recipes))
        shown = self.keeping is not None and self.keeping.wanted  # what is done shows nothing any more
        if shown or not self._loaded("clean", *(_tracked(each) for each in self.transformed)):
            self._track(source)
        clean = self.found["clean"].said["object_ids"]
        if not self._loaded("back"):
            policy = self.options.observe.policy
            rows = back(self.model, source, policy, tuple(clean), self.record, self.progress, self._stop)
            if self.stopped:
                raise Stopped
            self._done("back", Part(tuple(rows)))
        if self.options.ablate and not self._loaded("ablations"):
            self._ablate(source)
        for each in self.transformed if self.options.intervene else ():
            if not self._loaded(_patched(each)):
                self._intervene(each, source)

    @property
    def all_notes(self) -> list[str]:
        """What was left out or could not be measured, and why."""
        return [*self.notes, *(note for part in self.found.values() for note in part.said.get("notes", ()))]

    # -- parts --------------------------------------------------------------------------------------------------------

    def _loaded(self, *names: str) -> bool:
        """Whether they were all done before; then they are taken over."""
        loaded = {name: part for name in names if (part := self.parts.load(name)) is not None}
        if len(loaded) < len(names):
            return False
        self.found |= loaded
        return True

    def _done(self, name: str, part: Part) -> None:
        self.found[name] = self.parts.save(name, part)

    def _stop(self) -> bool:
        self.stopped = self.stopped or self.stop()
        return self.stopped

    def _tick(self, stage: str) -> Callable[[int, int], bool]:
        def tick(done: int, total: int) -> bool:
            self.progress(Progress(stage, done, total))
            return self._stop()

        return tick

    # -- the work -----------------------------------------------------------------------------------------------------

    def _source(self) -> SourceClip:
        """The clip with masks."""
        if not self.clip.annotated:
            labels = self.parts.load_labels(self.clip.num_frames)
            if labels is not None:
                return SourceClip(SelfLabelled(self.clip, labels))
        policy = self.options.observe.policy
        source, there = with_masks(self.model, self.clip, self.prompts, policy, self.progress, self._stop)
        if source is None or not there:
            raise Stopped
        if isinstance(source.sequence, SelfLabelled):
            self.parts.save_labels(source.sequence.labels)
        return source

    def _disturbed(self, source: SourceClip, recipes: Sequence[Recipe]) -> Iterator[Disturbed]:
        for recipe in recipes:
            try:
                yield disturb(recipe, transform(source, [recipe], ClipMaterial()), self.prompts)
            except (DatasetError, PromptError) as error:
                self.notes.append(f"{recipe} was left out: {error.problem}.")
                log.warning("%s is left out: %s", recipe, error.problem)

    def _track(self, source: SourceClip) -> None:
        """All runs side by side; they are one piece of work, as each is compared with the clean one."""
        cells = CellKeeper(sampled_frames(source.num_frames))
        runs = self.runs = SideBySide(
            self.model,
            source,
            self.prompts,
            self.transformed,
            self.options.observe.policy,
            self.folder.path,
            self.clip.fps,
            self.keeping,
            (cells,) if self.options.cells else (),
        )

        def tick() -> bool:
            self.progress(Progress("tracking and observing", runs.done, runs.total))
            return self._stop()

        whole = runs.go(tick)
        if not whole:
            raise Stopped
        tracked = self._tracked(runs, whole)
        if self.options.cells:
            write_cells(self.folder.path / self.options.cells, cells.samples)
        self.runs = None
        for name in reversed(tracked):  # the clean run's last: where it is, the others are
            self.parts.save(name, tracked[name])
        self.found |= tracked

    def _tracked(self, runs: SideBySide, whole: bool) -> dict[str, Part]:
        """The runs' rows and pictures, as far as they came."""
        clean = runs.clean
        readings = clean.readings(calibrated=self.clip.annotated)
        rows = self._rows(clean, self.record, self.clip.annotated)
        rows += rows_of_blame(nobody(losses(clean)), self.record)  # nobody is blamed for what the clean run loses
        if whole:
            rows += rows_of_onset(readings, self.model, self.record)
        bases = runs.snapshots.bases()
        pictures = write_strips(self.folder.path, self.clip.name, runs.snapshots, bases)
        said = {
            "object_ids": list(clean.object_ids),
            "notes": notes_on(readings, clean.object_ids),
            "pictures": [asdict(each) for each in pictures],
        }
        found = {"clean": Part(tuple(rows), said)}
        videos = {each.file: each for each in runs.videos(self.clip.name)}
        for each in self.transformed:
            record = self._maker(each.recipe)
            rows = self._rows(each.run, record, True)
            rows += rows_of_readings(each.filtering.readings(), record)
            family, severity = each.recipe.family, each.recipe.severity
            pictures = write_strips(self.folder.path, self.clip.name, each.snapshots, bases, family, severity)
            pictures += [videos[each.video_name]] if each.video_name in videos else []
            said = {"pictures": [asdict(one) for one in pictures], "moments": sorted(each.same_moments.items())}
            found[_tracked(each)] = Part(tuple(rows), said)
        return found

    def _ablate(self, source: SourceClip) -> None:
        tick = self._tick("ablating")
        readings = ablations(self.model, self.options.observe.policy, source, self.prompts, tick)
        self._done("ablations", Part(tuple(rows_of_readings(readings, self.record))))

    def _intervene(self, each: Disturbed, source: SourceClip) -> None:
        record = self._maker(each.recipe)
        work = Intervention(
            self.model,
            self.options.observe.policy,
            source,
            each.clip,
            (self.prompts, each.prompts),
            self._run("clean"),
            self._run(_tracked(each)),
            self._tick(f"intervening: {each.recipe.family}"),
        )
        readings, blames = work.go(self.options.reverse)
        rows = [*rows_of_readings(readings, record), *rows_of_blame(blames, record)]
        self._done(_patched(each), Part(tuple(rows), {"blamed": [one.stage for one in blames]}))
        self.leave("running")  # whatever happens next, this can be read

    def _run(self, name: str) -> TrackedRun:
        part = self.found[name]
        return TrackedRun.of(part.rows, dict(part.said.get("moments", ())))

    # -- results ------------------------------------------------------------------------------------------------------

    def leave(self, status: str) -> None:
        """Write the records and pictures of what was computed."""
        if self.runs is not None:
            self.found |= self._tracked(self.runs, whole=False)
        rows = [row for part in self.found.values() for row in part.rows]
        notes = self.all_notes
        pictures = (Picture(**one) for part in self.found.values() for one in part.said.get("pictures", ()))
        said = facts(self.clip, self.options.observe, self.command, status, notes)
        self.folder.write(rows, replace(said, pictures=tuple(pictures)))
        if self.keeping is not None and status != "running":
            self.keeping.tell(rows)

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
        if "clean" not in self.found:
            return
        clean = self._run("clean")
        yield ConditionSummary("", 0, clean.j, len(losses(clean)))
        for each in self.transformed:
            run, patched = self._run(_tracked(each)), self.found.get(_patched(each), Part())
            blamed = tuple(patched.said.get("blamed", ()))
            yield ConditionSummary(each.recipe.family, each.recipe.severity, run.j, len(losses(run)), blamed)


def _tracked(each: Disturbed) -> str:
    return f"tracked-{each.slug}"


def _patched(each: Disturbed) -> str:
    return f"patched-{each.slug}"
