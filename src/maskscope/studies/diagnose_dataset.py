"""What holds for many clips: every clip of a data set diagnosed under families x severities, and means over clips."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from maskscope import __version__
from maskscope.data.dataset import AnnotatedFrames
from maskscope.data.layouts import recognise
from maskscope.errors import DatasetError, RecordError, SettingError
from maskscope.extras import load_extra
from maskscope.memory.policies import registry
from maskscope.memory.settings import read_settings
from maskscope.model import PRESETS
from maskscope.model.checkpoints import locate
from maskscope.model.precision import chosen_device, preferred_dtype
from maskscope.observe.measures.onset import onset
from maskscope.observe.measures.other_clips import CellSample
from maskscope.observe.measures.separation import place_of
from maskscope.records import SCHEMA_VERSION, Record, merge_records, read_records, write_records, write_whole
from maskscope.report.findings_numbers import findings
from maskscope.report.findings_page import clip_pages, write_findings_html
from maskscope.report.findings_shape import FORMAT, Findings
from maskscope.stages import STAGES, Stage
from maskscope.studies.clip_identity import clip_digest, file_digest
from maskscope.studies.diagnose import FAMILIES
from maskscope.studies.diagnose_job import ClipDiagnosis, cells_name
from maskscope.studies.jobs import Executor, Here, Job, JobProgress, JobsSummary, run_jobs
from maskscope.studies.kept_cells import read_cells, rows_across_clips
from maskscope.studies.observe import DTYPES, ObserveOptions
from maskscope.studies.stress_clip import DatasetSpec, ModelSpec
from maskscope.studies.told_command import told_command
from maskscope.transforms.chain import Recipe

log = logging.getLogger(__name__)

STUDY_VERSION: Final = 3  # 1 kept no cells for read-outs of other clips, 2 judged repairs on hidden pixels, too
"""Of what a job does; another number makes every job a new one."""

SEPARATION: Final = "separation_auc"
ACROSS: Final = "across-clips.parquet"
"""What read-outs of other clips say of each clip; made anew from the clips' cells each time."""
OTHER_GRIDS: Final = ("stride4", "stride8", "stride32", "upscaled", "mask_logits")
"""Endings of taps that are not at stride 16: finer or coarser cells make the object and the control region easier or
harder to tell apart by themselves, so a step between grids would say nothing of layers."""


@dataclass(frozen=True)
class DatasetOptions:
    """What is tried on every clip.

    Attributes:
        observe: how clips are tracked.
        families: of transformations, `family[/variant]`.
        severities: 1 to 5.
        seed: of the transformations.
        intervene: find the stage to blame; without, a transformed run costs one pass instead of up to eight.
        reverse: also put the disturbed activations into the clean run, where an object is lost.
        ablate: also track each clip as it is without each source of memory and without the finer levels.
        max_frames: at most so many of each clip are looked at; None is all of them.
        sequences: only these; none for all.
        limit: only the first so many sequences; None for all.
        layout: of the data set; None recognises it.
    """

    observe: ObserveOptions = field(default_factory=ObserveOptions)
    families: tuple[str, ...] = FAMILIES
    severities: tuple[int, ...] = (3,)
    seed: int = 0
    intervene: bool = True
    reverse: bool = False
    ablate: bool = True
    max_frames: int | None = None
    sequences: tuple[str, ...] = ()
    limit: int | None = None
    layout: str | None = None


@dataclass(frozen=True)
class DatasetSummary:
    """What came of it.

    Attributes:
        folder: `records.parquet` with a row for each clip and measure, `summary.json`, `report.html`, `jobs/`, and
            `clips/NAME/` with the diagnosis of each clip: its page, its pictures, and its records frame by frame.
        jobs: computed now, failed, left.
        found: over the finished clips; None where none is.
        report: the page over all clips; None where there is nothing to show, or no means to draw it (see the log).
    """

    folder: Path
    jobs: JobsSummary
    found: Findings | None
    report: Path | None


def diagnose_dataset(
    dataset: str | Path,
    out: str | Path,
    options: DatasetOptions | None = None,
    *,
    executor: Executor | None = None,
    command: Sequence[str] = (),
    progress: Callable[[JobProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> DatasetSummary:
    """Diagnose every clip; clips that are in the folder already are not computed again, one that fails stops no other.

    Args:
        dataset: a folder in a layout of `maskscope.data.layouts`; of sequences with masks on some frames only those
            frames are taken.
        out: folder of results.
        options: what is tried.
        executor: where jobs are computed; by default here, one after the other.
        command: how the program was called, for the facts.
        progress: called as clips end, with frames of all their runs.
        stop: asked at each frame; True gives up the clips in hand.

    Raises:
        DatasetError: no such data set, or no sequence with masks.
        SettingError: an unknown family or policy, a severity out of range, or a missing package.
        CheckpointError: the model cannot be had.
        OutputError: the folder cannot be written.
    """
    options = options or DatasetOptions()
    load_extra("pyarrow", "tables", "tables of results")
    folder = Path(out)
    model = _model(options.observe, folder)
    jobs = dataset_jobs(dataset, folder, options, model)
    request = {
        "dataset": Path(dataset).resolve().name,
        "clips": len(jobs),
        **{name: value for name, value in asdict(options).items() if name not in ("observe", "layout")},
        "policy": options.observe.policy,
        "image_size": options.observe.image_size,
        "model": {"name": model.label, "sha256": model.digest, "precision": model.precision},
    }
    facts: dict[str, Any] = {
        "format": FORMAT,
        "maskscope_version": __version__,
        "command": told_command(command),
        "request": request,
    }
    _write(folder / "diagnosis.json", facts)
    summary = run_jobs(jobs, folder, executor or Here(), stage="diagnosing", progress=progress, stop=stop)
    if not summary.files:
        return DatasetSummary(folder, summary, None, None)
    rows = read_records(*summary.files)
    files = [*summary.files, folder / ACROSS]
    across = list(rows_across_clips(kept_cells(rows, folder), rows))
    write_records(across, folder / ACROSS)
    rows += across
    facts |= {"failed": dict(summary.failed), "left": summary.left, "onset": onsets(rows)}
    merge_records(files, folder / "records.parquet", facts)
    found = findings(rows, facts)
    _write(folder / "summary.json", facts | {"findings": found.to_json()})
    report = None
    try:
        report = write_findings_html(rows, facts, folder / "report.html", clip_pages(folder))
    except SettingError as error:
        log.warning("no page: %s", error)
    return DatasetSummary(folder, summary, found, report)


def dataset_jobs(dataset: str | Path, out: Path, options: DatasetOptions, model: ModelSpec) -> list[Job]:
    """A job for each clip.

    Raises:
        DatasetError: no such data set, or no sequence with masks.
        SettingError: no family, an unknown one, an unknown policy, or a severity out of range.
    """
    recipes = _recipes(options)
    where = DatasetSpec(Path(dataset).resolve(), options.layout or recognise(dataset).layout)
    registry.policy(options.observe.policy)
    name, _, values = options.observe.policy.partition(":")
    kind = registry.kind(name.strip())
    shared = {
        "study": STUDY_VERSION,
        "records": SCHEMA_VERSION,
        "maskscope": __version__,
        "model": model.digest,
        "precision": model.precision,
        "image_size": model.image_size,
        "policy": {"name": kind.name, "settings": asdict(read_settings(kind.settings, values, f"policy {kind.name}"))},
        "transforms": [recipe.digest for recipe in recipes],
        "intervene": options.intervene,
        "reverse": options.reverse,
        "ablate": options.ablate,
        "max_frames": options.max_frames,
    }
    jobs = []
    for clip, frames in _sequences(where, options).items():
        identity = {**shared, "clip": {"name": clip, "content": clip_digest(where.open()[clip])}}
        work = ClipDiagnosis(
            where.path,
            clip,
            options.max_frames,
            tuple(recipes),
            model,
            options.observe.policy,
            options.intervene,
            clip_folder(out, clip),
            options.reverse,
            options.ablate,
        )
        looked_at = min(frames, options.max_frames or frames)
        jobs.append(Job(clip, identity, work, looked_at * (1 + len(recipes))))
    return jobs


def kept_cells(rows: Iterable[Record], out: Path) -> dict[str, list[CellSample]]:
    """Of each clip that rows speak of; none of a clip whose file is not there, or of another run."""
    runs = {row.clip: row.run for row in rows}
    found: dict[str, list[CellSample]] = {}
    for clip, run in runs.items():
        try:
            found[clip] = read_cells(clip_folder(out, clip) / cells_name(run))
        except RecordError as error:
            log.warning("%s takes no part in read-outs of other clips: %s", clip, error.problem)
            found[clip] = []
    return found


def clip_folder(out: Path, clip: str) -> Path:
    """Where the diagnosis of one clip lies."""
    return out / "clips" / (re.sub(r"[^\w.-]+", "-", clip).strip("-.") or "clip")


def onsets(rows: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Where along the taps of stride 16 the object comes to be separate, over clips as they are; for `Findings`.

    Of "separation_auc" and of "above_control", by how much it is higher than that of the control task. Each has the
    places in order, and what `maskscope.observe.measures.onset.Onset` has; none where fewer than two clips have a value
    at all taps.
    """
    sums: dict[str, dict[str, dict[str, list[float]]]] = {SEPARATION: {}, f"{SEPARATION}_control": {}}
    order: dict[str, Stage] = {}
    for row in rows:
        if row.metric not in sums or row.family or not row.tap or row.tap.endswith(OTHER_GRIDS):
            continue
        if row.stage is not None and row.value is not None:
            place = place_of(row.stage, row.tap)
            order.setdefault(place, row.stage)
            sums[row.metric].setdefault(row.clip, {}).setdefault(place, []).append(row.value)
    places = sorted(order, key=lambda place: STAGES.index(order[place]))  # within a stage as they came
    auc, control = (
        {
            clip: {place: float(np.mean(of_objects)) for place, of_objects in found.items()}
            for clip, found in each.items()
        }
        for each in sums.values()
    )
    above = {
        clip: {place: value - control[clip][place] for place, value in found.items() if place in control[clip]}
        for clip, found in auc.items()
        if clip in control
    }
    said: dict[str, dict[str, Any]] = {}
    for name, found in ((SEPARATION, auc), ("above_control", above)):
        whole = [[row[place] for place in places] for row in found.values() if row.keys() >= set(places)]
        if len(whole) >= 2 and len(places) >= 2:
            said[name] = {"places": places, "clips": len(whole), **asdict(onset(whole, places))}
    return said


def _recipes(options: DatasetOptions) -> list[Recipe]:
    for text in options.families:
        if ":" in text or "@" in text:
            raise SettingError(f"family {text!r} has a severity or seed", "give those with --severity and --seed")
    recipes = [
        Recipe.parse(family, severity, options.seed)
        for family in dict.fromkeys(options.families)
        for severity in sorted(set(options.severities))
    ]
    if not recipes:
        raise SettingError("no transformation is named", "give a family and a severity of 1 to 5")
    for recipe in recipes:
        _ = recipe.digest  # says so if there is no such family
    return recipes


def _sequences(where: DatasetSpec, options: DatasetOptions) -> dict[str, int]:
    """Names and numbers of frames of the sequences to take."""
    if options.limit is not None and options.limit < 1:
        raise SettingError(f"a limit of {options.limit} leaves no sequence", "give 1 or more")
    data = where.open()
    found: dict[str, int] = {}
    refused: list[DatasetError] = []
    for name in list(dict.fromkeys(options.sequences)) or list(data.sequences):
        if len(found) == options.limit:
            break
        sequence = data[name]
        try:
            found[name] = AnnotatedFrames(sequence).num_frames
        except DatasetError as error:
            log.warning("%s is left out: %s", name, error)
            refused.append(error)
    if not found:
        raise refused[0] if refused else DatasetError(f"{where.path} has no sequence")
    return found


def _model(observe: ObserveOptions, folder: Path) -> ModelSpec:
    """With its precision decided: "auto" measures, and a folder's later runs keep to the first answer."""
    digest = file_digest(locate(observe.model))
    precision = observe.precision
    device = chosen_device(observe.device or None)
    if precision == "auto":
        earlier = _earlier(folder)
        known = earlier.get("precision") if earlier.get("sha256") == digest else None
        precision = known if known in DTYPES else str(preferred_dtype(device)).removeprefix("torch.")
    name = observe.model
    if name not in PRESETS and Path(name).expanduser().exists():
        name = str(Path(name).expanduser().resolve())
    return ModelSpec(name, digest, precision, observe.device, observe.image_size)


def _earlier(folder: Path) -> dict[str, Any]:
    """The model that the folder was begun with."""
    try:
        model = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))["request"]["model"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return model if isinstance(model, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
