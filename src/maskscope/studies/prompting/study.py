"""The prompt study: jobs for each object and part, their records, the table, and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from maskscope import __version__
from maskscope.errors import SettingError
from maskscope.extras import load_extra
from maskscope.memory.policies import registry
from maskscope.memory.settings import read_settings
from maskscope.model import PRESETS
from maskscope.model.checkpoints import locate
from maskscope.model.precision import chosen_device, preferred_dtype
from maskscope.records import SCHEMA_VERSION, merge_records, read_records, write_whole
from maskscope.report.prompts_advice import Advice, advise
from maskscope.report.prompts_page import write_prompts_page
from maskscope.report.prompts_table import PromptRow, prompt_rows
from maskscope.studies.clip_identity import file_digest
from maskscope.studies.jobs import Executor, Here, Job, JobProgress, JobsSummary, run_jobs
from maskscope.studies.prompting.footage import ANNOTATED, OWN_RUN
from maskscope.studies.prompting.job import PARTS, Part, PromptJob
from maskscope.studies.prompting.rows import PROTOCOL
from maskscope.studies.prompting.targets import Targets
from maskscope.studies.prompting.time_model import TimeModel
from maskscope.studies.prompting.trials import AXES, TrialGrid
from maskscope.studies.prompting.users import MOST_FRAMES
from maskscope.studies.stress_clip import ModelSpec
from maskscope.studies.told_command import told_command

STUDY_VERSION: Final = 1
"""Of what a job does; another number makes every job a new one."""
FORMAT: Final = "maskscope.prompts/1"


@dataclass(frozen=True)
class PromptsOptions:
    """The grid.

    Attributes:
        model: a name of `list_models()`, or a file of weights.
        policy: of memory, NAME or NAME:key=value,...
        parts: of the study.
        grid: of trials.
        rounds: most frames that a correcting user speaks of, 1 to 8.
        time: of the simulated users.
        device: PyTorch's name; None is the accelerator if there is one.
        precision: "float32", "bfloat16", or "auto" for what is faster; a folder keeps what it was begun with.
        image_size: (height, width) of the model's input; None as trained.
    """

    model: str = "compact"
    policy: str = "stock"
    parts: tuple[Part, ...] = PARTS
    grid: TrialGrid = field(default_factory=TrialGrid)
    rounds: int = MOST_FRAMES
    time: TimeModel = field(default_factory=TimeModel)
    device: str | None = None
    precision: str = "auto"
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if unknown := [part for part in self.parts if part not in PARTS]:
            raise SettingError(f"there is no part {unknown[0]!r}", f"parts are {', '.join(PARTS)}")
        if not self.parts:
            raise SettingError("no part of the study is named", f"parts are {', '.join(PARTS)}")
        if not 1 <= self.rounds <= MOST_FRAMES:
            raise SettingError(f"{self.rounds} frames to correct are out of range", f"give 1 to {MOST_FRAMES}")


@dataclass(frozen=True)
class PromptsSummary:
    """What came of a study.

    Attributes:
        folder: of `jobs/`, `records.parquet`, `summary.json`, `prompts.json` and `prompts.html`.
        jobs: computed now, failed, left.
        rows: the table, from the finished jobs.
        advice: which prompt, how many, when again.
        page: None where nothing is finished.
        truth: "annotated", or "own run": then scores are agreement with what the model did with the given prompt.
    """

    folder: Path
    jobs: JobsSummary
    rows: tuple[PromptRow, ...]
    advice: Advice | None
    page: Path | None
    truth: str


def run_prompts(
    targets: Targets,
    out: str | Path,
    options: PromptsOptions | None = None,
    *,
    executor: Executor | None = None,
    command: Sequence[str] = (),
    progress: Callable[[JobProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> PromptsSummary:
    """Try prompts on every object; results that are in the folder are not computed again.

    Args:
        targets: which objects of which clips.
        out: folder of results; any number of studies and processes may share it.
        options: the grid.
        executor: where jobs are computed; by default here, one after the other.
        command: how the program was called, for the page.
        progress: called as jobs end, with their frames.
        stop: asked at each frame; True gives up the jobs in hand.

    Raises:
        MaskscopeError: targets that cannot be used, see `Targets.find`; an unknown policy, a model that cannot be had,
            a folder that cannot be written, or a missing package.
    """
    options = options or PromptsOptions()
    load_extra("pyarrow", "tables", "tables of results")
    load_extra("plotly", "report", "pages")
    folder = Path(out)
    policy = policy_identity(options.policy)
    model = choose_model(options, _earlier(folder))
    jobs = prompt_jobs(targets, options, model, policy)
    facts = {
        "format": FORMAT,
        "maskscope_version": __version__,
        "command": told_command(command),
        "request": {
            "source": Path(targets.source).name,
            "model": {"name": model.label, "sha256": model.digest, "precision": model.precision},
            "policy": options.policy,
            "parts": options.parts,
            "grid": asdict(options.grid),
            "rounds": options.rounds,
            "max_frames": targets.max_frames,
            "objects": targets.objects,
        },
        "time_model": asdict(options.time),
        "protocol": PROTOCOL,
        "truth": OWN_RUN if targets.prompts else ANNOTATED,
        "jobs": len(jobs),
    }
    _write(folder / "prompts.json", facts)
    done = run_jobs(jobs, folder, executor or Here(), stage="prompts", progress=progress, stop=stop)
    truth = str(facts["truth"])
    if not done.files:
        return PromptsSummary(folder, done, (), None, None, truth)
    merge_records(done.files, folder / "records.parquet", facts)
    records = read_records(folder / "records.parquet")
    rows = tuple(prompt_rows(records))
    advice = advise(rows, truth)
    said = {
        "failed": dict(done.failed),
        "left": done.left,
        "advice": asdict(advice),
        "rows": [asdict(row) for row in rows],
    }
    _write(folder / "summary.json", facts | said)
    page = write_prompts_page(folder / "records.parquet", folder / "prompts.html")
    return PromptsSummary(folder, done, rows, advice, page, truth)


def prompt_jobs(targets: Targets, options: PromptsOptions, model: ModelSpec, policy: Mapping[str, Any]) -> list[Job]:
    """The jobs of a study, clip by clip; parts in the order of `PARTS`."""
    shared = {
        "study": STUDY_VERSION,
        "records": SCHEMA_VERSION,
        "maskscope": __version__,
        "model": model.digest,
        "precision": model.precision,
        "image_size": model.image_size,
        "policy": policy,
        "time": asdict(options.time),
    }
    jobs = []
    for label, spec, frames in targets.find(model.load().config):
        for part in dict.fromkeys(options.parts):
            identity = {**shared, "target": spec.identity, "part": part, "seeds": options.grid.seeds}
            passes = 1
            if part in AXES:
                trials = options.grid.of(part, frames)
                identity["trials"] = [trial.identity for trial in trials]
                passes = len(trials)
            elif part in ("offline", "online"):
                identity["rounds"] = passes = options.rounds
            if passes:
                work = PromptJob(spec, part, model, options.policy, options.grid, options.rounds, options.time)
                jobs.append(Job(f"{label}, {part}", identity, work, frames if part != "noc" else 1))
    return jobs


def policy_identity(text: str) -> dict[str, Any]:
    """A policy's name and all its settings, also those that were not named.

    Raises:
        SettingError: no such policy or setting.
    """
    registry.policy(text)
    name, _, values = text.partition(":")
    kind = registry.kind(name.strip())
    return {"name": kind.name, "settings": asdict(read_settings(kind.settings, values, f"policy {kind.name}"))}


def choose_model(options: PromptsOptions, earlier: Mapping[str, Any]) -> ModelSpec:
    """The model with its precision decided: "auto" measures, and a folder's later runs keep to the first answer."""
    digest = file_digest(locate(options.model))
    precision = options.precision
    if precision not in ("auto", "float32", "bfloat16"):
        raise SettingError(f"there is no precision {precision!r}", "give auto, float32 or bfloat16")
    device = chosen_device(options.device or None)
    if precision == "auto":
        before = earlier if earlier.get("sha256") == digest else {}
        precision = str(before.get("precision") or preferred_dtype(device)).removeprefix("torch.")
    file = Path(options.model).expanduser()
    name = str(file.resolve()) if options.model not in PRESETS and file.exists() else options.model
    return ModelSpec(name, digest, precision, options.device, options.image_size)


def _earlier(folder: Path) -> dict[str, Any]:
    """The model of the folder's last study."""
    try:
        model = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))["request"]["model"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return model if isinstance(model, dict) else {}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
