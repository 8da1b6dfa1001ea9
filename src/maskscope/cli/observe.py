"""`maskscope observe`: the measures at the five positions along a clip."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
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
    Sequence_,
    Source,
    folder_for,
    kept,
    prompts_for,
    told_truth,
)
from maskscope.cli.options import PrecisionChoice, parse_size

if TYPE_CHECKING:
    from maskscope.studies.observe import ObserveSummary

_RESULTS = "Results"

HELP = """
Measure what happens inside the model while it follows an object.

Tracks a clip and writes records.parquet: for each frame, object and position (image embedding, memory conditioned, \
prompt attended, object pointer, memory features) how far the object is told from its background, how far the frame \
lies from memory, where attention looks, and more; docs/measures says what each means and what it cannot tell.

Masks are compared with true ones where the clip has them (a data set, or --masks). Else it is tracked twice, and the \
first run's masks are taken for true: that shows change, not correctness.

Examples:

\b
  maskscope observe dog.mp4 --point 320,180
  maskscope observe DAVIS --sequence dog --out dog
  maskscope observe dog.mp4 --masks dog-tracked/masks --taps
"""


def observe(
    source: Source,
    point: Points = None,
    box: Boxes = None,
    mask: Mask = None,
    frame: FrameNumber = 0,
    masks: Masks = None,
    sequence: Sequence_ = None,
    model: Model = "compact",
    policy: Policy = "stock",
    device: Device = None,
    precision: Precision = PrecisionChoice.auto,
    image_size: ImageSize = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where to write. (default: CLIP's name with -observed)", rich_help_panel=_RESULTS
        ),
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(metavar="N", help="Look at so many frames at most.", rich_help_panel=_RESULTS)
    ] = None,
    taps: Annotated[
        bool,
        typer.Option("--taps", help="Separation at the finer places inside the stages, too.", rich_help_panel=_RESULTS),
    ] = False,
    save_features: SaveFeatures = None,
    features_of: FeaturesOf = None,
    features_as: FeaturesAs = "float16",
    rerun: RerunFile = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results in DIR.", rich_help_panel=_RESULTS)
    ] = False,
) -> None:
    """Measure what happens inside the model; see `HELP`."""
    from maskscope.studies.looked_at import look_at
    from maskscope.studies.observe import ObserveOptions, observe_clip

    keep = kept(save_features, features_of, features_as, rerun)
    clip = look_at(source, masks=masks, sequence=sequence, start=frame, max_frames=max_frames)
    prompts = prompts_for(clip, point, box, mask)
    options = ObserveOptions(
        model=model,
        policy=policy,
        device=device,
        precision=precision.value,
        image_size=parse_size(image_size),
        taps=taps,
    )
    with stopping() as stop, ProgressBar() as bar:
        summary = observe_clip(
            clip,
            prompts,
            folder_for(clip, out, "-observed"),
            options,
            keep=keep,
            overwrite=overwrite,
            command=["maskscope", *sys.argv[1:]],
            progress=bar,
            stop=stop,
        )
    typer.echo(_told(summary))
    if not summary.finished:
        typer.echo(f"stopped after {summary.num_frames} frames; what came so far is there", err=True)
        raise typer.Exit(stop.exit_code)


def _told(summary: ObserveSummary) -> str:
    j = "" if summary.j is None or not summary.annotated else f", J {summary.j:.3f}"
    lines = [
        f"{summary.num_frames} frames{j}, {summary.losses} losses ({told_truth(summary.annotated)})",
        *summary.notes,
        f"{summary.num_records} records: {summary.folder / 'records.parquet'}",
    ]
    return "\n".join(lines)
