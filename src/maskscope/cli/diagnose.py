"""`maskscope diagnose`: where the object is lost, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.diagnose_dataset import diagnose_all
from maskscope.cli.observed_clip import (
    Boxes,
    Device,
    FeaturesAs,
    FeaturesOf,
    FrameNumber,
    ImageSize,
    Mask,
    Masks,
    Model,
    Points,
    Policy,
    Precision,
    RerunFile,
    SaveFeatures,
    folder_for,
    kept,
    prompts_for,
    told_truth,
)
from maskscope.cli.options import PrecisionChoice, parse_size
from maskscope.errors import SettingError

if TYPE_CHECKING:
    from maskscope.studies.diagnose import ConditionSummary, DiagnoseSummary

_WHAT, _TRIED, _RESULTS, _MANY = "Which object", "What is tried", "Results", "Many clips"
DEFAULT_FRAMES = 60
DEFAULT_SEVERITY = 3
_SEVERITIES = ("1", "2", "3", "4", "5")

HELP = """
Find out where in the model an object is lost, and what to do about it.

The clip is tracked as it is and under each family of transformations, and observed at five positions: image \
embedding, memory conditioned, prompt attended, object pointer, memory features. Where a transformed clip loses the \
object, the clean run's activation is put in its place at one position after the other; the earliest position that \
falls and whose repair brings the mask back is to blame. "Not determined" is an answer.

\b
  report.html      what holds, what breaks, what to change first; then the evidence. One file, works offline
  records.parquet  all figures behind it
  pictures/        strips by stage, and videos: clean beside transformed

Masks are compared with true ones where the clip has them (a data set, or --masks). Else the clean run's own masks are \
taken for true: that shows change, not correctness.

Ctrl-C stops and leaves the records of what was computed; the same command goes on from there.

With --dataset every clip of a data set is diagnosed, each from its first true masks; the page then says what holds \
over clips, with intervals, controls and counter-examples. Clips that are in DIR already are not computed again, and \
one that fails stops no other.

Examples:

\b
  maskscope diagnose dog.mp4 --point 320,180
  maskscope diagnose dog.mp4 --mask first.png --families occlusion,speed --severity 5
  maskscope diagnose DAVIS --sequence dog --policy gated --out dog
\b
  maskscope diagnose --dataset DAVIS --severity 1,3,5 --jobs 2 --out davis
  maskscope diagnose --dataset DAVIS --no-intervention --limit 5 --out quick
"""


def diagnose(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[CLIP]", help="Video file, folder of images, or data set (with --sequence).", show_default=False
        ),
    ] = None,
    point: Points = None,
    box: Boxes = None,
    mask: Mask = None,
    frame: FrameNumber = 0,
    masks: Masks = None,
    sequence: Annotated[
        str | None,
        typer.Option("--sequence", metavar="NAME[,NAME]", help="Of a data set.", rich_help_panel=_WHAT),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="All clips of a data set, in a layout of `maskscope data summary`.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N clips.", rich_help_panel=_MANY)
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes, a clip in each.", rich_help_panel=_MANY)
    ] = 1,
    families: Annotated[
        list[str] | None,
        typer.Option(
            metavar="all|NAME[/VARIANT][,...]",
            help="Of transformations. (default: occlusion, illumination, speed, viewpoint, interjection)",
            show_default=False,
            rich_help_panel=_TRIED,
        ),
    ] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option(metavar="1-5[,...]", help="How hard.", show_default="3", rich_help_panel=_TRIED),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the transformations.", rich_help_panel=_TRIED)] = 0,
    max_frames: Annotated[
        int,
        typer.Option(metavar="N", help="Look at so many frames at most; 0 is all of them.", rich_help_panel=_TRIED),
    ] = DEFAULT_FRAMES,
    no_intervention: Annotated[
        bool,
        typer.Option("--no-intervention", help="Observe only, blame nothing: much quicker.", rich_help_panel=_TRIED),
    ] = False,
    reverse: Annotated[
        bool,
        typer.Option(
            "--reverse",
            help="Also put the transformed activation into the clean run: does that lose the object?",
            rich_help_panel=_TRIED,
        ),
    ] = False,
    no_ablation: Annotated[
        bool,
        typer.Option(
            "--no-ablation",
            help="Do not track the clip without pointers, recent or prompted memory, or finer levels: quicker.",
            rich_help_panel=_TRIED,
        ),
    ] = False,
    model: Model = "compact",
    policy: Policy = "stock",
    device: Device = None,
    precision: Precision = PrecisionChoice.auto,
    image_size: ImageSize = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where to write. (default: CLIP's name with -diagnosed)", rich_help_panel=_RESULTS
        ),
    ] = None,
    save_features: SaveFeatures = None,
    features_of: FeaturesOf = None,
    features_as: FeaturesAs = "float16",
    rerun: RerunFile = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results in DIR.", rich_help_panel=_RESULTS)
    ] = False,
) -> None:
    """Find out where an object is lost; see `HELP`."""
    from maskscope.studies.diagnose import FAMILIES, DiagnoseOptions, diagnose_clip
    from maskscope.studies.looked_at import look_at
    from maskscope.studies.observe import ObserveOptions
    from maskscope.transforms.registry import family_names

    named = _words(families)
    tried = family_names() if "all" in named else named or FAMILIES
    severities = _severities(severity)
    if reverse and no_intervention:
        raise SettingError("--reverse is an intervention", "leave out --no-intervention, or --reverse")
    observe = ObserveOptions(
        model=model, policy=policy, device=device, precision=precision.value, image_size=parse_size(image_size)
    )
    if dataset is not None:
        if source or point or box or mask or masks or frame:
            raise SettingError("--dataset takes the masks of each clip", "leave out CLIP, prompts, --masks and --frame")
        if save_features or rerun:
            raise SettingError("--save-features and --rerun are for one clip", "leave them out, or name a CLIP")
        if overwrite:
            raise SettingError(
                "with --dataset a clip is computed again where anything has changed that decides it, and else not",
                "leave --overwrite out, or name another folder with --out",
            )
        from maskscope.studies.diagnose_dataset import DatasetOptions

        many = DatasetOptions(
            observe=observe,
            families=tried,
            severities=severities,
            seed=seed,
            intervene=not no_intervention,
            reverse=reverse,
            ablate=not no_ablation,
            max_frames=max_frames or None,
            sequences=_words([sequence] if sequence else None),
            limit=limit,
        )
        diagnose_all(dataset, out, many, jobs)
        return
    if source is None:
        raise SettingError("no clip is named", "give a video or a folder of images, or --dataset DIR for many clips")
    if limit is not None or jobs > 1:
        raise SettingError("--limit and --jobs are for many clips", "give --dataset DIR, or leave them out")
    keep = kept(save_features, features_of, features_as, rerun)
    clip = look_at(source, masks=masks, sequence=sequence, start=frame, max_frames=max_frames or None)
    prompts = prompts_for(clip, point, box, mask)
    options = DiagnoseOptions(
        observe=observe,
        families=tuple(text if ":" in text else f"{text}:{number}" for text in tried for number in severities),
        seed=seed,
        intervene=not no_intervention,
        reverse=reverse,
        ablate=not no_ablation,
    )
    with stopping() as stop, ProgressBar() as bar:
        summary = diagnose_clip(
            clip,
            prompts,
            folder_for(clip, out, "-diagnosed"),
            options,
            keep=keep,
            overwrite=overwrite,
            command=["maskscope", *sys.argv[1:]],
            progress=bar,
            stop=stop,
        )
    if clip.num_frames < clip.source_frames:
        typer.echo(f"looked at {clip.num_frames} of {clip.source_frames} frames (--max-frames)")
    typer.echo(_told(summary))
    if not summary.finished:
        so_far = summary.folder / "records.parquet"
        typer.echo(f"stopped; what came so far is in {so_far}; run the same command to go on", err=True)
        raise typer.Exit(stop.exit_code)


def _words(texts: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for text in texts or () for word in text.split(",") if word.strip())


def _severities(texts: Sequence[str] | None) -> tuple[int, ...]:
    words = _words(texts)
    if not all(word in _SEVERITIES for word in words):
        raise SettingError(f"--severity {','.join(words)} is no list of severities", "give 1 to 5, such as 1,3,5")
    return tuple(sorted({int(word) for word in words})) or (DEFAULT_SEVERITY,)


def _told(summary: DiagnoseSummary) -> str:
    lines = [told_truth(summary.annotated)]
    if summary.conditions:
        lines.append(conditions_table(summary.conditions))
    lines += summary.notes
    lines.append(f"look at {summary.report}" if summary.report else f"records: {summary.folder / 'records.parquet'}")
    return "\n".join(lines)


def conditions_table(conditions: Sequence[ConditionSummary]) -> str:
    """A line for each run: J, losses, and the stages to blame."""
    lines = [f"{'':<16} {'J':>6} {'losses':>6}  to blame"]
    for each in conditions:
        name = f"{each.family} {each.severity}" if each.family else "as it is"
        j = "-" if each.j is None else f"{each.j:.3f}"
        blamed = ", ".join(dict.fromkeys(stage or "not determined" for stage in each.blamed))
        lines.append(f"{name:<16} {j:>6} {each.losses:>6}  {blamed}".rstrip())
    return "\n".join(lines)
