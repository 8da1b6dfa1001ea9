"""`maskscope track`: follow objects through a video."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import ProgressBar, stopping
from maskscope.cli.options import PrecisionChoice, gather_prompts, parse_size
from maskscope.cli.step_bar import StepBar
from maskscope.errors import PromptError

if TYPE_CHECKING:
    from maskscope.studies.track import TrackOptions, TrackSummary
    from maskscope.tracking.prompts import Prompt

_WHAT, _MODEL, _RESULTS = "Which object", "Model", "Results"

HELP = """
Follow objects through a video.

Say on one frame which object is meant: by a point on it, a box around it, or a mask of it. Then get its mask on every \
frame: overlay.mp4 to look at, masks/00000.png (objects by number, in the colours of DAVIS), masks.jsonl (COCO \
run lengths, with scores) and run.json (how it was done).

Mask pictures are numbered in five digits, or as many as the last frame of a longer video needs.

Ctrl-C stops and saves; the same command goes on where it stopped.

Examples:

\b
  maskscope track dog.mp4 --point 320,180
  maskscope track dog.mp4 --box 200,80,420,330 --out dog
\b
  a point on the object, and one beside it (label 0):
  maskscope track dog.mp4 --point 320,180 --point 300,60,0
\b
  two objects:
  maskscope track dog.mp4 --point 320,180,1,1 --point 90,200,1,2
\b
  images, a mask for the first, and a larger model (downloaded once):
  maskscope track frames/ --mask first.png --model sam2.1-hiera-tiny
\b
  with another memory, and one of its settings:
  maskscope track dog.mp4 --point 320,180 --policy gated:patience=48
\b
  the model adapted to these objects first:
  maskscope track dog.mp4 --mask first.png --adapt
\b
  marked on frame 50, followed to the end and to the beginning:
  maskscope track dog.mp4 --point 410,150 --frame 50 --both
"""


def track(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Video file, folder of images, stream (rtsp://, http:// ...) or camera:0.",
            show_default=False,
        ),
    ],
    point: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y[,LABEL[,OBJECT]]",
            help="A pixel on the object (label 1, the default) or beside it (label 0). Repeat for more.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1[,OBJECT]",
            help="Left, top, right and bottom of a box around the object, in pixels.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="PNG of the video's size: black and white, or several objects by number (as in DAVIS).",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    frame: Annotated[
        int,
        typer.Option(
            metavar="N", help="The frame that points, box or mask are for; frames count from 0.", rich_help_panel=_WHAT
        ),
    ] = 0,
    backward: Annotated[
        bool, typer.Option("--backward", help="Go from that frame to the beginning.", rich_help_panel=_WHAT)
    ] = False,
    both: Annotated[
        bool, typer.Option("--both", help="Go from that frame in both directions.", rich_help_panel=_WHAT)
    ] = False,
    max_frames: Annotated[
        int | None,
        typer.Option(metavar="N", help="Stop after so many frames (in each direction).", rich_help_panel=_WHAT),
    ] = None,
    resize_mask: Annotated[
        bool, typer.Option("--resize-mask", help="Fit a mask of another size to the video.", rich_help_panel=_WHAT)
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|PATH", help="One of `maskscope models`, or a file of weights.", rich_help_panel=_MODEL
        ),
    ] = "compact",
    policy: Annotated[
        str,
        typer.Option(
            metavar="NAME[:key=value,...]",
            help="What is remembered, see `maskscope policies`; stock is SAM 2.",
            rich_help_panel=_MODEL,
        ),
    ] = "stock",
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="First adapt the model to the marked objects (a minute or two), see `maskscope adapt`.",
            rich_help_panel=_MODEL,
        ),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="cpu, cuda, cuda:1 ... (default: the GPU if there is one)", rich_help_panel=_MODEL
        ),
    ] = None,
    precision: Annotated[
        PrecisionChoice,
        typer.Option(help="auto takes bfloat16 where it is faster.", rich_help_panel=_MODEL),
    ] = PrecisionChoice.auto,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW",
            help="Size at which the model sees the video, multiples of 32: smaller is faster, larger finer. "
            "The compact model keeps to the area and takes the video's shape. (default: as trained)",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where to write. (default: INPUT's name with -tracked)", rich_help_panel=_RESULTS
        ),
    ] = None,
    drop_late: Annotated[
        bool | None,
        typer.Option(
            "--drop-late/--every-frame",
            help="Of a camera or stream take the newest picture, or each. (default: the newest, unless it is a file)",
            show_default=False,
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    no_overlay: Annotated[
        bool, typer.Option("--no-overlay", help="Write masks only, no video.", rich_help_panel=_RESULTS)
    ] = False,
    no_masks: Annotated[
        bool,
        typer.Option(
            "--no-masks",
            help="Write no mask pictures, for streams of days; masks.jsonl holds the same.",
            rich_help_panel=_RESULTS,
        ),
    ] = False,
    non_overlapping: Annotated[
        bool,
        typer.Option("--non-overlapping", help="Give each pixel to one object at most.", rich_help_panel=_RESULTS),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Start over, whatever is in DIR.", rich_help_panel=_RESULTS),
    ] = False,
    save_every: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.0, help="How often the state is saved.", rich_help_panel=_RESULTS),
    ] = 30.0,
) -> None:
    """Follow objects through a video; see `HELP`."""
    if backward and both:
        raise PromptError("--backward and --both contradict each other", "give one of them")
    from maskscope.data.stream import without_password
    from maskscope.data.video import open_video
    from maskscope.studies.track import TrackOptions, check_request, track_video

    options = TrackOptions(
        model=model,
        device=device,
        precision=precision.value,
        image_size=parse_size(image_size),
        policy=policy,
        frame=frame,
        direction="both" if both else "backward" if backward else "forward",
        max_frames=max_frames,
        non_overlapping=non_overlapping,
        overlay=not no_overlay,
        masks=not no_masks,
    )
    folder = out or default_folder(source)
    video = open_video(source, drop_late=drop_late)

    def prompts_for(size: tuple[int, int]) -> list[Prompt]:
        return gather_prompts(point or (), box or (), mask, size, resize_mask)

    prompts = prompts_for((video.height, video.width))
    if adapt:
        check_request(prompts, video, options)
        options, marked = _adapted(source, folder, prompts_for, options, overwrite)
        prompts = gather_prompts((), (), marked, (video.height, video.width))
    with stopping() as stop, ProgressBar() as bar:
        summary = track_video(
            source,
            prompts,
            folder,
            options,
            video=video,
            overwrite=overwrite,
            save_every_s=save_every,
            command=["maskscope", *map(without_password, sys.argv[1:])],
            progress=bar,
            stop=stop,
        )
    if summary.finished:
        typer.echo(_told(summary, options))
        return
    after = "run the same command to go on" if summary.resumable else f"what came so far is in {summary.folder}"
    where = "while drawing" if summary.next_frame is None else f"at frame {summary.next_frame}"
    typer.echo(f"stopped {where}; {after}", err=True)
    raise typer.Exit(stop.exit_code)


def _adapted(
    source: str,
    folder: Path,
    prompts_for: Callable[[tuple[int, int]], list[Prompt]],
    options: TrackOptions,
    overwrite: bool,
) -> tuple[TrackOptions, Path]:
    """The options with weights beside the folder of results, and the masks that these were adapted to."""
    from maskscope.cli.adapt import told
    from maskscope.studies.adapt import adapt_to_video

    place = folder.resolve()
    with stopping("step") as stop, StepBar() as bar:
        adapted = adapt_to_video(
            source,
            prompts_for,
            place.parent / f"{place.name}-adapted.safetensors",
            frame=options.frame,
            model=options.model,
            image_size=options.image_size,
            device=options.device,
            overwrite=overwrite,
            watch=bar,
            stop=stop,
        )
    if adapted is None:
        typer.echo("stopped while adapting; nothing was written", err=True)
        raise typer.Exit(stop.exit_code)
    typer.echo(told(adapted), err=True)
    return replace(options, model=str(adapted.weights)), adapted.masks


def default_folder(source: str, done: str = "tracked") -> Path:
    """A folder here, named after the input and what is done to it."""
    from maskscope.data.stream import without_password

    stem = without_password(source).partition("://")[2] if "://" in source else Path(source.rstrip("/\\")).stem
    return Path((re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "video") + f"-{done}")


def _told(summary: TrackSummary, options: TrackOptions) -> str:
    rate = f" at {summary.fps:.1f} a second" if summary.fps else ""
    shown = "overlay.mp4" if options.overlay else "masks" if options.masks else "masks.jsonl"
    return f"{summary.num_frames} frames{rate}; look at {summary.folder / shown}"
