"""`maskscope diagnose`: where the object is lost, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.observed_clip import (
    Boxes,
    Device,
    FrameNumber,
    ImageSize,
    Mask,
    Masks,
    Model,
    Points,
    Policy,
    Precision,
    Sequence_,
    Source,
    folder_for,
    prompts_for,
    told_truth,
)
from maskscope.cli.options import PrecisionChoice, parse_size

if TYPE_CHECKING:
    from maskscope.studies.diagnose import DiagnoseSummary

_TRIED, _RESULTS = "What is tried", "Results"
DEFAULT_FRAMES = 60

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

Ctrl-C stops and leaves the records of what was computed.

Examples:

\b
  maskscope diagnose dog.mp4 --point 320,180
  maskscope diagnose dog.mp4 --mask first.png --families occlusion,speed --severity 5
  maskscope diagnose DAVIS --sequence dog --policy gated --out dog
"""


def diagnose(
    source: Source,
    point: Points = None,
    box: Boxes = None,
    mask: Mask = None,
    frame: FrameNumber = 0,
    masks: Masks = None,
    sequence: Sequence_ = None,
    families: Annotated[
        list[str] | None,
        typer.Option(
            metavar="all|NAME[/VARIANT][,...]",
            help="Of transformations. (default: occlusion, illumination, speed, viewpoint, interjection)",
            show_default=False,
            rich_help_panel=_TRIED,
        ),
    ] = None,
    severity: Annotated[int, typer.Option(metavar="1-5", min=1, max=5, help="How hard.", rich_help_panel=_TRIED)] = 3,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the transformations.", rich_help_panel=_TRIED)] = 0,
    max_frames: Annotated[
        int,
        typer.Option(metavar="N", help="Look at so many frames at most; 0 is all of them.", rich_help_panel=_TRIED),
    ] = DEFAULT_FRAMES,
    no_intervention: Annotated[
        bool,
        typer.Option("--no-intervention", help="Observe only, blame nothing: much quicker.", rich_help_panel=_TRIED),
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results in DIR.", rich_help_panel=_RESULTS)
    ] = False,
) -> None:
    """Find out where an object is lost; see `HELP`."""
    from maskscope.studies.diagnose import FAMILIES, DiagnoseOptions, diagnose_clip
    from maskscope.studies.looked_at import look_at
    from maskscope.studies.observe import ObserveOptions
    from maskscope.transforms.registry import family_names

    clip = look_at(source, masks=masks, sequence=sequence, start=frame, max_frames=max_frames or None)
    prompts = prompts_for(clip, point, box, mask)
    named = tuple(word.strip() for text in families or () for word in text.split(",") if word.strip())
    observe = ObserveOptions(
        model=model, policy=policy, device=device, precision=precision.value, image_size=parse_size(image_size)
    )
    options = DiagnoseOptions(
        observe=observe,
        families=family_names() if "all" in named else named or FAMILIES,
        severity=severity,
        seed=seed,
        intervene=not no_intervention,
    )
    with stopping() as stop, ProgressBar() as bar:
        summary = diagnose_clip(
            clip,
            prompts,
            folder_for(clip, out, "-diagnosed"),
            options,
            overwrite=overwrite,
            command=["maskscope", *sys.argv[1:]],
            progress=bar,
            stop=stop,
        )
    if clip.num_frames < clip.source_frames:
        typer.echo(f"looked at {clip.num_frames} of {clip.source_frames} frames (--max-frames)")
    typer.echo(_told(summary))
    if not summary.finished:
        typer.echo(f"stopped; what came so far is in {summary.folder / 'records.parquet'}", err=True)
        raise typer.Exit(stop.exit_code)


def _told(summary: DiagnoseSummary) -> str:
    lines = [told_truth(summary.annotated)]
    if summary.conditions:
        lines.append(f"{'':<16} {'J':>6} {'losses':>6}  to blame")
    for each in summary.conditions:
        name = f"{each.family} {each.severity}" if each.family else "as it is"
        j = "-" if each.j is None else f"{each.j:.3f}"
        blamed = ", ".join(dict.fromkeys(stage or "not determined" for stage in each.blamed))
        lines.append(f"{name:<16} {j:>6} {each.losses:>6}  {blamed}".rstrip())
    lines += summary.notes
    lines.append(f"look at {summary.report}" if summary.report else f"records: {summary.folder / 'records.parquet'}")
    return "\n".join(lines)
