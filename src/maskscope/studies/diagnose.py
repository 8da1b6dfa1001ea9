"""Where in the model an object is lost when the clip becomes harder: the door to `maskscope diagnose`.

The clip is tracked as it is and once for each family of transformations, observed at the five positions. Where a
transformed run loses the object, it is run again with the clean run's activation at one position at a time: what
brings the object back tells which position lost it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskscope import __version__
from maskscope.errors import SettingError
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.report.page.page import write_page
from maskscope.studies.diagnosis_folder import DiagnosisFolder
from maskscope.studies.diagnosis_parts import Parts, content_of
from maskscope.studies.diagnosis_work import FAMILIES, ConditionSummary, DiagnoseOptions, Work
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.interventions import Stopped
from maskscope.studies.keeping import Keep, Keeping
from maskscope.studies.looked_at import LookedAt, check_objects
from maskscope.studies.observe import Progress, kept_about, load
from maskscope.studies.run_facts import describe, weights_hash
from maskscope.tracking.prompts import Prompt
from maskscope.transforms.chain import Recipe
from maskscope.transforms.registry import family as find_family

__all__ = ["FAMILIES", "ConditionSummary", "DiagnoseOptions", "DiagnoseSummary", "diagnose_clip"]


@dataclass(frozen=True)
class DiagnoseSummary:
    """What came of a diagnosis.

    Attributes:
        folder: where `records.parquet`, `pictures` and `report.html` are.
        report: the page; None where it was stopped, or cannot be made here (see `notes`).
        finished: False when it was stopped.
        annotated: whether masks were compared with given ones; else with the clean run's own.
        conditions: the clip as it is, then families.
        notes: what was left out or could not be measured, and why.
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
    keep: Keep | None = None,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> DiagnoseSummary:
    """Track a clip clean and transformed, observe, intervene where the object is lost, and write records and a page.

    Whatever ends the work, the records of what was computed are readable, and say in their facts how far it came. The
    same call goes on from there: what is done is kept in the folder's `parts`, and not done again.

    Args:
        clip: see `look_at`.
        prompts: on its first frame; moved with the picture where a transformation moves it.
        out: the folder; made if need be.
        options: see `DiagnoseOptions`.
        model: used instead of loading `options.observe.model`.
        keep: features of the clip as it is, or a recording of all runs for Rerun, beside the records. The runs are then
            tracked again where a diagnosis goes on that was stopped.
        overwrite: replace earlier results there, also those of the same call.
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
    check_objects(prompts, clip.size)
    registry.policy(options.observe.policy)
    recipes = [Recipe.parse(text, options.severity, options.seed) for text in options.families]
    for recipe in recipes:
        find_family(recipe.family)  # an unknown one is refused before anything is computed
    model = model or load(options.observe)
    parts = Parts(folder.path, _request(clip, prompts, options, model))
    again = folder.examine(overwrite, parts)
    about = kept_about(model, options.observe)
    with folder_lock(folder.path), Keeping(keep, clip, about, overwrite or again) as keeping:
        if not folder.examine(overwrite, parts):
            folder.clear()
            parts.begin()
        work = Work(clip, list(prompts), folder, parts, options, model, tuple(command), progress, stop, keeping)
        try:
            work.go(recipes)
        except Stopped:
            finished = False
        except BaseException as error:
            work.leave("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        else:
            finished = True
        keeping.finished = finished
        work.leave("finished" if finished else "stopped")
        report = None
        if finished:
            try:
                report = write_page(folder.path)
            except SettingError as error:
                work.notes.append(f"no page: {error}")
            parts.clear()
    return DiagnoseSummary(
        folder.path, report, finished, clip.annotated, tuple(work.conditions()), tuple(work.all_notes)
    )


def _request(clip: LookedAt, prompts: Sequence[Prompt], options: DiagnoseOptions, model: SAM2) -> dict[str, Any]:
    """All that decides the results."""
    return {
        "clip": [clip.name, clip.start, clip.num_frames, list(clip.size), clip.annotated, content_of(clip)],
        "prompts": [describe(prompt) for prompt in prompts],
        "options": asdict(options),
        "weights": weights_hash(model),
        "image_size": list(model.config.image_size),
        "maskscope": __version__,
    }
