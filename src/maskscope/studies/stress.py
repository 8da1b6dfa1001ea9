"""How much harder clips cost a tracker: the grid of families, severities, seeds and policies over a data set."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from maskscope import __version__
from maskscope.data.dataset import AnnotatedFrames, AnnotatedSequence
from maskscope.errors import DatasetError, SettingError
from maskscope.evaluate.statistics import Bootstrap
from maskscope.evaluate.tables import to_csv
from maskscope.extras import load_extra
from maskscope.memory.policies import registry
from maskscope.memory.settings import read_settings
from maskscope.model import PRESETS
from maskscope.model.checkpoints import locate
from maskscope.model.precision import chosen_device, preferred_dtype
from maskscope.records import SCHEMA_VERSION, merge_records, write_whole
from maskscope.report.policy_rows import PolicyRow, compare_policies, read_cells
from maskscope.report.policy_time import TimeRow, compare_times, read_moments
from maskscope.report.stress_table import StressRow, stress_rows
from maskscope.studies.clip_identity import clip_digest, file_digest
from maskscope.studies.drawn_clips import DrawnSequence
from maskscope.studies.jobs import Executor, Here, Job, JobProgress, JobsSummary, run_jobs
from maskscope.studies.long_clips import LongSpec
from maskscope.studies.stress_clip import DatasetSpec, ModelSpec, StressClip, stress_protocol
from maskscope.studies.told_command import told_command
from maskscope.transforms.chain import Recipe

log = logging.getLogger(__name__)

STUDY_VERSION: Final = 2  # 1 had no speed, no memory, and no clips of coming and going but in MOSE
"""Of what a job does; another number makes every job a new one."""

FORMAT: Final = "maskscope.stress/1"
FAMILIES: Final = ("occlusion", "illumination", "speed", "viewpoint", "interjection")


@dataclass(frozen=True)
class StressOptions:
    """The grid.

    Attributes:
        model: a name of `list_models()`, or a file of weights.
        families: of transformations, `family[/variant]`.
        severities: 1 to 5; the clips as they are always belong to the grid, once for all families.
        seeds: of the transformations.
        policies: of memory, NAME or NAME:key=value,...
        protocol: whose rules decide which frames count, see `stress_protocol`.
        sequences: only these; none for all.
        limit: only the first so many sequences; None for all.
        layout: of the data set; None recognises it.
        material: a data set whose clips lend occluders and foreign footage, a clip never its own; None draws them.
        device: PyTorch's name; None is the accelerator if there is one.
        precision: "float32", "bfloat16", or "auto" for what is faster; a folder keeps what it was begun with.
        image_size: (height, width) of the model's input; None as trained.
        long_frames: make clips of so many frames of the clips, too, with absences as long as the severities say, see
            `maskscope.studies.long_clips`; None for none.
    """

    model: str = "compact"
    families: tuple[str, ...] = FAMILIES
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    seeds: tuple[int, ...] = (0,)
    policies: tuple[str, ...] = ("stock",)
    protocol: str = "davis"
    sequences: tuple[str, ...] = ()
    limit: int | None = None
    layout: str | None = None
    material: Path | None = None
    device: str | None = None
    precision: str = "auto"
    image_size: tuple[int, int] | None = None
    long_frames: int | None = None


@dataclass(frozen=True)
class StressSummary:
    """What came of a grid.

    Attributes:
        folder: where results are: `jobs/` with a file of records for each job, `records.parquet` with all of them,
            `summary.json`, `summary.csv` and `stress.json`, which says what was asked for.
        jobs: computed now, failed, left.
        rows: the table, from the finished jobs.
        policies: what each policy gains over the stock one; empty where there is one policy alone.
        times: scores of long clips against time since the prompt; empty without such clips.
        protocol: what counted, in one sentence.
    """

    folder: Path
    jobs: JobsSummary
    rows: tuple[StressRow, ...]
    protocol: str
    policies: tuple[PolicyRow, ...] = ()
    times: tuple[TimeRow, ...] = ()


def run_stress(
    dataset: str | Path,
    out: str | Path,
    options: StressOptions | None = None,
    *,
    executor: Executor | None = None,
    command: Sequence[str] = (),
    progress: Callable[[JobProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> StressSummary:
    """Transform, track and score every clip of a grid; results that are in the folder are not computed again.

    Args:
        dataset: a folder in a layout of `maskscope.data.layouts`; of sequences with masks on some frames only those
            frames are taken. Or "drawn:COUNT" for made-up clips.
        out: folder of results; any number of grids and processes may share it.
        options: the grid.
        executor: where jobs are computed; by default here, one after the other.
        command: how the program was called, for `stress.json`.
        progress: called as jobs end, with their frames.
        stop: asked at each frame; True gives up the jobs in hand.

    Raises:
        DatasetError: no such data set, or no sequence with masks.
        SettingError: an unknown family, variant, policy or protocol, a severity out of range, or a missing package.
        CheckpointError: the model cannot be had.
        OutputError: the folder cannot be written.
    """
    options = options or StressOptions()
    for module in ("pyarrow", "duckdb"):
        load_extra(module, "tables", "tables of results")
    folder = Path(out)
    protocol = stress_protocol(options.protocol)
    model = _model(options, _earlier(folder))
    jobs = stress_jobs(dataset, options, model)
    request = {
        "dataset": DatasetSpec.of(dataset, options.layout).path.name,
        **{name: value for name, value in asdict(options).items() if name not in ("device", "model")},
        "model": {"name": model.label, "sha256": model.digest, "precision": model.precision},
        "material": None if options.material is None else DatasetSpec.of(options.material).path.name,
    }
    facts = {
        "format": FORMAT,
        "maskscope_version": __version__,
        "command": told_command(command),
        "request": request,
        "protocol": asdict(protocol),
        "jobs": len(jobs),
    }
    _write(folder / "stress.json", facts)
    summary = run_jobs(jobs, folder, executor or Here(), stage="stress", progress=progress, stop=stop)
    rows = tuple(stress_rows(summary.files)) if summary.files else ()
    policies: tuple[PolicyRow, ...] = ()
    times: tuple[TimeRow, ...] = ()
    if rows:
        if len(set(options.policies)) > 1:
            policies = tuple(compare_policies(read_cells(summary.files)))
        if options.long_frames:
            times = tuple(compare_times(read_moments(summary.files)))
        said = {"failed": dict(summary.failed), "left": summary.left, "rows": [asdict(row) for row in rows]}
        said |= {"policies": [asdict(row) for row in policies], "times": [asdict(row) for row in times]}
        _write(folder / "summary.json", facts | {"bootstrap": asdict(Bootstrap())} | said)
        write_whole(folder / "summary.csv", to_csv([asdict(row) for row in rows]).encode())
        merge_records(summary.files, folder / "records.parquet", facts)
    return StressSummary(folder, summary, rows, protocol.about, policies, times)


def stress_jobs(dataset: str | Path, options: StressOptions, model: ModelSpec) -> list[Job]:
    """The jobs of a grid, clean clips first, then mild ones; a grid that is cut short so has something of everything.

    Raises:
        DatasetError: no such data set, or no sequence with masks.
        SettingError: an unknown family, policy or protocol, or a severity out of range.
    """
    changes: list[Recipe | LongSpec | None] = [None, *_recipes(options), *_long(options)]
    changes.sort(key=lambda change: 0 if change is None else change.severity)
    policies = {text: _policy_identity(text) for text in dict.fromkeys(options.policies)}
    if not policies:
        raise SettingError("no memory policy is named", "for example --policies stock")
    where = DatasetSpec.of(dataset, options.layout)
    sequences = _sequences(where, options)
    material = None
    lent: str | None = None
    if options.material is not None:
        material = DatasetSpec.of(options.material)
        lent = _digest(map(_content, material.open()))
    shared = {
        "study": STUDY_VERSION,
        "records": SCHEMA_VERSION,
        "maskscope": __version__,
        "model": model.digest,
        "precision": model.precision,
        "image_size": model.image_size,
        "protocol": asdict(stress_protocol(options.protocol)),
    }
    clips = {name: _content(where.open()[name]) for name in sequences}
    jobs = []
    for change in changes:
        recipe, long = (None, change) if isinstance(change, LongSpec) else (change, None)
        for name, frames in sequences.items():
            for policy, settings in policies.items():
                identity = {
                    **shared,
                    "clip": {"name": name, "content": clips[name]},
                    "transform": None if recipe is None else recipe.digest,
                    "material": None if change is None else lent,
                    "policy": settings,
                    **({} if long is None else {"long": long.identity}),
                }
                work = StressClip(where, name, recipe, material, model, policy, options.protocol, long)
                label = f"{name}, {change or 'clean'}" + (f", {policy}" if len(policies) > 1 else "")
                jobs.append(Job(label, identity, work, frames if long is None else long.num_frames))
    return jobs


def _content(sequence: AnnotatedSequence) -> str:
    """What tells a clip from others; made-up ones say it themselves, without being drawn."""
    return sequence.digest if isinstance(sequence, DrawnSequence) else clip_digest(sequence)


def _long(options: StressOptions) -> list[LongSpec]:
    """By severity, then seed; severity 0 is the clean clip."""
    if options.long_frames is None:
        return []
    severities = [severity for severity in sorted(set(options.severities)) if severity]
    return [LongSpec(options.long_frames, one, seed) for one in severities for seed in dict.fromkeys(options.seeds)]


def _recipes(options: StressOptions) -> list[Recipe]:
    """By severity, then family and seed; severity 0 is the clean clip."""
    for text in options.families:
        if ":" in text or "@" in text:
            raise SettingError(f"family {text!r} has a severity or seed", "give those with --severities and --seeds")
    recipes = [
        Recipe.parse(family, severity, seed)
        for severity in sorted(set(options.severities))
        for family in dict.fromkeys(options.families)
        for seed in dict.fromkeys(options.seeds)
    ]
    for recipe in recipes:
        _ = recipe.digest  # says so if there is no such family
    return [recipe for recipe in recipes if recipe.severity]


def _sequences(where: DatasetSpec, options: StressOptions) -> dict[str, int]:
    """Names and numbers of frames of the sequences to take.

    Raises:
        DatasetError: a name that is not there, or no sequence with masks.
    """
    if options.limit is not None and options.limit < 1:
        raise SettingError(f"a limit of {options.limit} leaves no sequence", "give 1 or more")
    data = where.open()
    names = list(dict.fromkeys(options.sequences)) or list(data.sequences)
    found: dict[str, int] = {}
    refused: list[DatasetError] = []
    for name in names:
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


def _policy_identity(text: str) -> dict[str, Any]:
    """A policy's name and all its settings, those that were not named, too.

    Raises:
        SettingError: no such policy or setting.
    """
    registry.policy(text)
    name, _, values = text.partition(":")
    kind = registry.kind(name.strip())
    return {"name": kind.name, "settings": asdict(read_settings(kind.settings, values, f"policy {kind.name}"))}


def _model(options: StressOptions, earlier: dict[str, Any]) -> ModelSpec:
    """The model with its precision decided: "auto" measures, and a folder's later runs keep to the first answer."""
    digest = file_digest(locate(options.model))
    precision = options.precision
    if precision not in ("auto", "float32", "bfloat16"):
        raise SettingError(f"there is no precision {precision!r}", "give auto, float32 or bfloat16")
    device = chosen_device(options.device or None)
    if precision == "auto":
        before = earlier if earlier.get("sha256") == digest else {}
        precision = str(before.get("precision") or preferred_dtype(device)).removeprefix("torch.")
    name = options.model
    if name not in PRESETS and Path(name).expanduser().exists():
        name = str(Path(name).expanduser().resolve())
    return ModelSpec(name, digest, precision, options.device, options.image_size)


def _earlier(folder: Path) -> dict[str, Any]:
    """The model of the folder's last grid."""
    try:
        model = json.loads((folder / "stress.json").read_text(encoding="utf-8"))["request"]["model"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return model if isinstance(model, dict) else {}


def _digest(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


def _write(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
