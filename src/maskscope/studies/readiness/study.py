"""From a clip to a decision: the door to `maskscope readiness`."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from maskscope import __version__
from maskscope.errors import MaskscopeError, SettingError, VideoError
from maskscope.model import SAM2
from maskscope.readiness.blocks import BLOCK_FRAMES
from maskscope.readiness.budget import QUICK, STANDARD, Budget, affordable, told_minutes
from maskscope.readiness.conditions import AXES
from maskscope.readiness.cost import Decision, cost_inputs, expected_cost
from maskscope.readiness.parts import ClipFacts, CostInputs, Endurance, Sweep
from maskscope.readiness.result import LANGUAGES, ReadinessResult
from maskscope.readiness.rules import SHORT_SECONDS, plan, verdict
from maskscope.records import Record
from maskscope.report.readiness import write_readiness_page
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.looked_at import LookedAt, check_objects
from maskscope.studies.observe import ObserveOptions, Progress, load, maker
from maskscope.studies.readiness.baseline import baseline, watch_limits
from maskscope.studies.readiness.clean import CleanRun, clean_run
from maskscope.studies.readiness.endurance import EnduranceWork
from maskscope.studies.readiness.folder import ReadinessFolder
from maskscope.studies.readiness.passes import PassStore, Seen, Stopped
from maskscope.studies.readiness.ranges import picture_measures
from maskscope.studies.readiness.rows import rows_of_clean, rows_of_figures, rows_of_pass
from maskscope.studies.readiness.sweeps import Level, SweepWork
from maskscope.studies.run_facts import describe, weights_hash
from maskscope.tracking.picture import input_size
from maskscope.tracking.prompts import Prompt

log = logging.getLogger(__name__)

STOCK: Final = "stock"
POLICIES: Final = {STOCK: "stock", "composite": "composite"}
"""What figures call a policy, and how it is asked for."""

BUDGETS: Final = {"standard": STANDARD, "quick": QUICK}

LEAST_FRAMES: Final = 24
"""Below it nothing can be concluded: two blocks of frames, and hardly one occlusion."""

PASSES_VERSION: Final = 2
"""Of what a pass does; passes of another number are made anew."""

ENOUGH_SECONDS: Final = 10.0
USUAL_FPS: Final = 25.0
_SMALL_WIDTH_PX: Final = 160


@dataclass(frozen=True)
class ReadinessOptions:
    """What is asked of a clip.

    Attributes:
        observe: model, device, precision and size; its policy is not used: stock and composite are compared.
        keep: share of J that has to be kept, 0..1; also the J, or the consistency, that the clip itself should reach.
        costs: see `maskscope.readiness.cost.cost_inputs`.
        lang: of the page, one of `maskscope.readiness.result.LANGUAGES`.
        budget: how much may be tried; None takes as much of the standard as is likely to be done in six minutes here.
        reference: an earlier run of the same camera on a good day, whose ranges the picture is held to; without one
            the clip's own sweeps give them.
    """

    observe: ObserveOptions = field(default_factory=ObserveOptions)
    keep: float = 0.8
    costs: CostInputs = field(default_factory=cost_inputs)
    lang: str = "en"
    budget: Budget | None = STANDARD
    reference: ReadinessResult | None = None

    def __post_init__(self) -> None:
        if not 0 < self.keep < 1:
            raise SettingError(f"--keep is {self.keep:g}, expected a share between 0 and 1", "give such as 0.8")
        if self.lang not in LANGUAGES:
            raise SettingError(f"there is no page in the language {self.lang!r}", f"give {' or '.join(LANGUAGES)}")


@dataclass(frozen=True)
class ReadinessSummary:
    """What came of it.

    Attributes:
        folder: where the files are.
        result: None where it was stopped before.
        page: None where it was stopped, or cannot be made here (see `notes`).
        passes_kept: finished passes that the same command goes on from.
        notes: what was left out, and why.
    """

    folder: Path
    result: ReadinessResult | None
    page: Path | None
    passes_kept: int
    notes: tuple[str, ...]


def assess_readiness(
    clip: LookedAt,
    prompts: Sequence[Prompt],
    out: str | Path,
    options: ReadinessOptions | None = None,
    *,
    model: SAM2 | None = None,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> ReadinessSummary:
    """Measure a clip, make it worse, play it on, hide its objects; write records, `readiness.json` and the page.

    Every finished pass is kept, so that the same call after an interruption goes on where it was.

    Args:
        clip: see `maskscope.studies.looked_at.look_at`.
        prompts: on its first frame.
        out: the folder; made if need be.
        options: see `ReadinessOptions`.
        model: used instead of loading `options.observe.model`.
        overwrite: replace earlier results there; passes of the same request are taken over all the same.
        command: how the program was called.
        progress: called after each frame.
        stop: asked after each frame; True writes what came so far and returns.

    Raises:
        VideoError: the clip is too short, or black.
        PromptError: a prompt that cannot mean an object, means none to the model, or another than the given masks.
        SettingError: the reference is of another model.
        CheckpointError: the model cannot be had.
        OutputError: the folder holds other results, or cannot be written.
    """
    options = options or ReadinessOptions()
    folder = ReadinessFolder(out)
    folder.examine(overwrite)
    _check_reference(options)
    check_objects(prompts, clip.size)
    fps = clip.fps or USUAL_FPS
    if clip.num_frames < LEAST_FRAMES:
        raise VideoError(
            f"{clip.name} has {clip.num_frames} frames from the marked one on, too short to conclude anything",
            f"give {LEAST_FRAMES} at least; {ENOUGH_SECONDS:g} s ({round(ENOUGH_SECONDS * fps)} frames) let limits be "
            f"told",
        )
    model = model or load(options.observe)
    with folder_lock(folder.path):
        request = _request(clip, prompts, model, options)
        if folder.begin(request, overwrite):
            log.info("going on from finished passes in %s", folder.passes)
        work = _Work(clip, list(prompts), folder, options, model, tuple(command), fps, request, progress, stop)
        try:
            result = work.go()
        except Stopped:
            work.leave("stopped")
            return ReadinessSummary(folder.path, None, None, len(work.store.made), tuple(work.notes))
        except MaskscopeError:
            folder.abandon()
            raise
        except BaseException:
            work.leave("stopped")
            raise
        work.leave("finished", result)
        result.write(folder.result)
        page = work.page(result)
    return ReadinessSummary(folder.path, result, page, len(work.store.made), tuple(work.notes))


@dataclass(eq=False)
class _Work:
    """One call of `assess_readiness`."""

    clip: LookedAt
    prompts: list[Prompt]
    folder: ReadinessFolder
    options: ReadinessOptions
    model: SAM2
    command: tuple[str, ...]
    fps: float
    request: str
    progress: Callable[[Progress], None]
    stop: Callable[[], bool]
    notes: list[str] = field(default_factory=list)
    clean: CleanRun | None = None
    frames_done: int = 0

    def __post_init__(self) -> None:
        self.began = time.perf_counter()
        self.record = maker(self.clip, self.prompts, self.model, self.options.observe)
        self.budget = self.options.budget or BUDGETS.get(self.folder.chosen() or "", STANDARD)
        self.total = self._frames()
        self.store = PassStore(self.folder.passes, self.request, self._tick, self.stop)

    def _frames(self) -> int:
        return self.budget.frames(self.clip.num_frames, not self.clip.annotated)

    def _tick(self, name: str, frames: int) -> None:
        self.frames_done += frames
        self.progress(Progress("measuring", min(self.frames_done, self.total), self.total))

    def go(self) -> ReadinessResult:
        """All of it.

        Raises:
            Stopped: the user asked to stop.
        """
        policy, began = POLICIES[STOCK], time.perf_counter()
        clean = self.clean = clean_run(self.model, self.clip, self.prompts, policy, self.store.step)
        self._choose((time.perf_counter() - began) / max(self.frames_done, 1))
        budget, keep = self.budget, self.options.keep
        sweeper = SweepWork(self.model, policy, clean, self.prompts, self.fps, keep, budget, self.store)
        swept = [sweeper.sweep(axis) for axis in AXES]
        holding = EnduranceWork(self.model, clean, self.prompts, budget, self.store)
        endurance = tuple(holding.endurance(name, asked) for name, asked in POLICIES.items())
        self.progress(Progress("measuring", self.total, self.total))
        return self._result(clean, swept, endurance)

    def _choose(self, seconds_a_frame: float) -> None:
        """Set the budget by the speed of this machine unless it was asked for, once for all calls that go on."""
        clip = self.clip.num_frames, not self.clip.annotated
        if self.folder.chosen() is None:
            self.budget = self.options.budget or affordable(*clip, seconds_a_frame)
            name = next((name for name, budget in BUDGETS.items() if budget == self.budget), "other")
            self.folder.choose(name, seconds_a_frame)
        self.total = self._frames()
        pace = self.folder.pace()  # passes that were made before take no time now
        if self.budget == QUICK and pace is not None:
            self.notes.append(
                f"Half of the measurements were made: all would take about {max(told_minutes(*clip, pace), 1)} "
                f"minutes on this machine. --full makes them, with narrower intervals."
            )
            log.info(self.notes[-1])

    # -- the result ---------------------------------------------------------------------------------------------------

    def _result(
        self, clean: CleanRun, swept: Sequence[tuple[Sweep, tuple[Level, ...]]], endurance: tuple[Endurance, ...]
    ) -> ReadinessResult:
        sweeps = tuple(sweep for sweep, _ in swept)
        picture = picture_measures(clean, swept, self.options.reference)
        cost = expected_cost(self._decisions(clean), self.options.costs, self.fps)
        self.notes += self._remarks(sweeps)
        result = ReadinessResult(
            clip=self._facts(clean),
            baseline=baseline(clean),
            picture=picture,
            sweeps=sweeps,
            endurance=endurance,
            cost=cost,
            plan=(),
            verdict="wait",
            watch=tuple(watch_limits(picture, cost.best_threshold)),
            notes=tuple(self.notes),
            passes=len(self.store.made) + 1 + (not clean.given),
            frames_tracked=self.frames_done,
            seconds=0.0 if self.store.taken_over else round(time.perf_counter() - self.began, 1),
        )
        settings = {
            "keep": self.options.keep,
            "played.frames": endurance[0].frames_played - 1.0,  # behind the prompt, as horizons are counted
            "short.frames": SHORT_SECONDS * self.fps,
            "fps": self.fps,
        }
        advice = plan(result.figures(), settings)
        return replace(result, plan=advice, verdict=verdict(advice))

    def _facts(self, clean: CleanRun) -> ClipFacts:
        clip = self.clip
        return ClipFacts(
            name=clip.name, num_frames=clip.num_frames, source_frames=clip.source_frames, start=clip.start,
            width_px=clip.size[1], height_px=clip.size[0], fps=self.fps, fps_assumed=clip.fps is None,
            truth="given" if clean.given else "clean run", objects=clean.objects, model=self.options.observe.model,
            model_size=input_size(self.model.config, *clip.size), policies=tuple(POLICIES), command=self.command,
            maskscope_version=__version__,
        )  # fmt: skip

    def _decisions(self, clean: CleanRun) -> Iterator[Decision]:
        """Of the clip as it is, played on, and with its objects hidden; of the stock policy."""
        for each in clean.result.seen:
            yield _decision("clean", each)
        for name, found in self.store.made.items():
            policy, _, condition = name.partition(" ")
            if policy == POLICIES[STOCK] and condition.split(" ")[0] in ("play", "cover", "foreign"):
                for each in found.seen:
                    yield _decision(condition, each)

    def _remarks(self, sweeps: Sequence[Sweep]) -> Iterator[str]:
        clip = self.clip
        if clip.fps is None:
            yield f"The clip does not say its frame rate; {USUAL_FPS:g} frames a second were taken."
        if clip.num_frames / self.fps < ENOUGH_SECONDS:
            yield (
                f"The clip is {clip.num_frames / self.fps:.1f} s long; from {ENOUGH_SECONDS:g} s on limits can be told "
                f"with narrower intervals."
            )
        if clip.size[1] < _SMALL_WIDTH_PX:
            yield f"The clip is {clip.size[1]} px wide: there is little resolution left to take away."
        for sweep in sweeps:
            if sweep.limit.value is None:
                yield f"The axis {sweep.axis} has no room below the present {sweep.present:g} {sweep.unit}."
        if clip.num_frames < clip.source_frames:
            yield f"{clip.num_frames} of {clip.source_frames} frames were looked at, from frame {clip.start} on."

    # -- files --------------------------------------------------------------------------------------------------------

    def leave(self, status: str, result: ReadinessResult | None = None) -> None:
        """Write the records of what was computed."""
        rows: list[Record] = []
        if self.clean is not None:
            rows += rows_of_clean(self.clean, POLICIES[STOCK], self.record)
        for name, found in self.store.made.items():
            rows += rows_of_pass(name, found, self.record)
        if result is not None:
            rows += rows_of_figures(result, self.record)
        facts = {
            "format": "maskscope.readiness.records/1", "status": status, "command": list(self.command),
            "truth": "given" if self.clip.annotated else "clean run", "maskscope": __version__,
        }  # fmt: skip
        self.folder.write(rows, facts)

    def page(self, result: ReadinessResult) -> Path | None:
        """The page, where it can be made."""
        try:
            return write_readiness_page(result, self.folder.page, self.options.lang)
        except SettingError as error:
            self.notes.append(f"no page: {error}")
            return None


def _check_reference(options: ReadinessOptions) -> None:
    if options.reference is None:
        return
    theirs, ours = (Path(name).name for name in (options.reference.clip.model, options.observe.model))
    if theirs != ours:
        raise SettingError(
            f"the reference has ranges of the model {theirs}, this run is of {ours}",
            "give the same --model, or a reference of this one",
        )


def _decision(condition: str, seen: Seen) -> Decision:
    block = (f"{condition} {seen.object}", seen.frame // BLOCK_FRAMES)
    return Decision(block, seen.visible, seen.shown_j, seen.score)


def _request(clip: LookedAt, prompts: Sequence[Prompt], model: SAM2, options: ReadinessOptions) -> str:
    """Digest of all that decides a pass; costs, the level that is kept and the language do not."""
    pictures = hashlib.sha256()
    for t in (0, clip.num_frames // 2, clip.num_frames - 1):
        pictures.update(np.ascontiguousarray(clip.frame(t)).data)
        if clip.annotated:
            pictures.update(np.ascontiguousarray(clip.masks(t)).data)
    said = {
        "clip": [clip.name, clip.start, clip.num_frames, list(clip.size), clip.annotated, pictures.hexdigest()],
        "prompts": [describe(prompt) for prompt in prompts],
        "weights": weights_hash(model),
        "precision": str(model.heavy_dtype),
        "image_size": options.observe.image_size,
        "fps": clip.fps or USUAL_FPS,
        "budget": options.budget and asdict(options.budget),
        "policies": POLICIES,
        "passes": PASSES_VERSION,
        "maskscope": __version__,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
