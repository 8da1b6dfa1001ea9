"""Track a clip and measure what happens at the five positions on the way: the door to `maskscope observe`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from maskscope import __version__
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import preferred_dtype
from maskscope.records import Record
from maskscope.report.page.diagnosis import Facts
from maskscope.studies.diagnosis_folder import DiagnosisFolder
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.keeping import Keep, Keeping
from maskscope.studies.looked_at import LookedAt, check_objects
from maskscope.studies.observed_run import Instruments, ObservedRun
from maskscope.studies.own_masks import SelfLabelled, own_masks, way_back
from maskscope.studies.rerun_recording import AS_FILMED
from maskscope.studies.rows_of_runs import (
    MakeRecord,
    losses,
    notes_on,
    record_maker,
    rows_of_onset,
    rows_of_readings,
    rows_of_scores,
    run_name,
)
from maskscope.studies.run_facts import describe
from maskscope.tracking.prompts import Prompt
from maskscope.transforms.base import SourceClip

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class ObserveOptions:
    """How a clip is observed.

    Attributes:
        model: a name of `list_models()`, or a file of weights.
        policy: of memory, NAME or NAME:key=value,...
        device: PyTorch's name; None is the GPU if there is one, else the CPU.
        precision: of the heavy parts, "float32", "bfloat16", or "auto" for what is faster.
        image_size: (height, width) of the model's input; None as trained.
        taps: separation at the finer places inside the stages, too.
        attention: where queries look, early decoding, stored tokens.
    """

    model: str = "compact"
    policy: str = "stock"
    device: str | None = None
    precision: str = "auto"
    image_size: tuple[int, int] | None = None
    taps: bool = False
    attention: bool = True


@dataclass(frozen=True)
class Progress:
    """How far some work is.

    Attributes:
        stage: what is being done.
        done: frames finished.
        total: how many there will be.
    """

    stage: str
    done: int
    total: int | None


Report = Callable[[Progress], None]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class ObserveSummary:
    """What came of an observation.

    Attributes:
        folder: where `records.parquet` is.
        finished: False when it was stopped.
        num_frames: observed.
        annotated: whether masks were compared with given ones; else with the run's own.
        j: mean over frames and objects; None without a frame that shows one.
        losses: how many.
        num_records: rows written.
        notes: what could not be measured, and why.
    """

    folder: Path
    finished: bool
    num_frames: int
    annotated: bool
    j: float | None
    losses: int
    num_records: int
    notes: tuple[str, ...]


def observe_clip(
    clip: LookedAt,
    prompts: Sequence[Prompt],
    out: str | Path,
    options: ObserveOptions | None = None,
    *,
    model: SAM2 | None = None,
    keep: Keep | None = None,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: Report = lambda _: None,
    stop: Stop = lambda: False,
) -> ObserveSummary:
    """Track a clip with the default measures, and write their records.

    Without true masks the clip is tracked once before, and that run's masks are taken for true; the way back to the
    first frame is compared with the way out, too.

    Args:
        clip: see `look_at`.
        prompts: on its first frame.
        out: the folder; made if need be.
        options: see `ObserveOptions`.
        model: used instead of loading `options.model`.
        keep: features or a recording for Rerun, beside the records.
        overwrite: replace earlier results there.
        command: how the program was called, for the facts.
        progress: called after each frame.
        stop: asked after each frame; True writes what came so far and returns.

    Raises:
        PromptError: a prompt that cannot mean an object, or an object that is never seen.
        CheckpointError: the model cannot be had.
        OutputError: the folder holds other results, or cannot be written.
    """
    options = options or ObserveOptions()
    folder = DiagnosisFolder(out)
    folder.examine(overwrite)
    check_objects(prompts, clip.size)
    registry.policy(options.policy)
    model = model or load(options)
    with (
        folder_lock(folder.path),
        Keeping(keep, clip, kept_about(model, options), overwrite) as keeping,
    ):
        folder.clear()
        record = maker(clip, prompts, model, options)
        source, finished = with_masks(model, clip, prompts, options.policy, progress, stop)
        if source is None:
            folder.write([], facts(clip, options, command, "stopped"))
            return ObserveSummary(folder.path, False, 0, clip.annotated, None, 0, 0, ())
        instruments = Instruments(attention=options.attention, taps=options.taps, sink=keeping.sink(AS_FILMED))
        run = ObservedRun(model, source, prompts, options.policy, instruments)
        while finished and not run.done:
            keeping.take(run.next_frame, run.step())
            progress(Progress("observing", run.next_frame, clip.num_frames))
            finished = run.done or not stop()
        readings = run.readings(calibrated=clip.annotated)
        notes = tuple(notes_on(readings, run.object_ids))
        rows = [*rows_of_scores(run, record), *rows_of_readings(readings, record)]
        if finished and options.taps:
            rows += rows_of_onset(readings, model, record)
        if finished:
            rows += back(model, source, options.policy, run.object_ids, record, progress, stop)
        keeping.tell(rows)
        keeping.finished = finished
        status = "finished" if finished else "stopped"
        folder.write(rows, facts(clip, options, command, status, notes))
    seen = [each.j for each in run.scored if each.j is not None]
    return ObserveSummary(
        folder.path,
        finished,
        run.next_frame,
        clip.annotated,
        sum(seen) / len(seen) if seen else None,
        len(losses(run)),
        len(rows),
        notes,
    )


def load(options: ObserveOptions) -> SAM2:
    """The model in the precision that is wanted."""
    model = load_model(options.model, device=options.device, image_size=options.image_size)
    return model.set_precision(
        preferred_dtype(model.device) if options.precision == "auto" else DTYPES[options.precision]
    )


def kept_about(model: SAM2, options: ObserveOptions) -> dict[str, Any]:
    """What is said of the model beside kept features."""
    size = model.config.image_size
    return {"model": options.model, "policy": options.policy, "dtype": str(model.heavy_dtype), "input_size": list(size)}


def maker(clip: LookedAt, prompts: Sequence[Prompt], model: SAM2, options: ObserveOptions) -> MakeRecord:
    """Makes the records of a clip."""
    request = {
        "clip": [clip.name, clip.start, clip.num_frames, list(clip.size), clip.annotated],
        "prompts": [describe(prompt) for prompt in prompts],
        **asdict(options),
        "maskscope": __version__,
    }
    run = run_name(json.loads(json.dumps(request, default=str)))
    name = Path(options.model).name.removesuffix(".safetensors").removesuffix(".pt")
    return record_maker(run, clip.name, model, name, options.policy, clip.annotated)


def with_masks(
    model: SAM2, clip: LookedAt, prompts: Sequence[Prompt], policy: str, progress: Report, stop: Stop
) -> tuple[SourceClip | None, bool]:
    """The clip with masks on every frame, given ones or its own; None and False where it was stopped before.

    Raises:
        PromptError: an object is seen on no frame.
    """
    if clip.annotated:
        return SourceClip(clip), True
    labelled = SelfLabelled(clip)
    for done in own_masks(model, clip, prompts, policy, labelled):
        progress(Progress("tracking", done, clip.num_frames))
        if done < clip.num_frames and stop():
            return None, False
    return SourceClip(labelled), True


def back(
    model: SAM2,
    source: SourceClip,
    policy: str,
    object_ids: tuple[int, ...],
    record: MakeRecord,
    progress: Report,
    stop: Stop,
) -> list[Record]:
    """Rows of the way back, where masks are the run's own."""
    if not isinstance(source.sequence, SelfLabelled):
        return []

    def tick(done: int) -> bool:
        progress(Progress("tracking back", done, source.num_frames))
        return stop()

    return list(rows_of_readings(way_back(model, source.sequence, policy, object_ids, tick), record))


def facts(
    clip: LookedAt, options: ObserveOptions, command: Sequence[str], status: str, notes: Sequence[str] = ()
) -> Facts:
    """What is said of the records as a whole."""
    said = list(notes)
    if clip.num_frames < clip.source_frames:
        last = clip.start + clip.num_frames - 1
        said.insert(
            0,
            f"Frames {clip.start} to {last} of {clip.source_frames} were looked at; they are counted from 0 here.",
        )
    return Facts(
        status=status,
        truth="annotated" if clip.annotated else "clean run",
        command=tuple(command),
        model=options.model,
        policy=options.policy,
        fps=clip.fps,
        maskscope_version=__version__,
        notes=tuple(said),
    )
