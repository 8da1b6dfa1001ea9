"""`maskscope adapt`: adapt a model to the objects of one frame."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.console import stopping
from maskscope.cli.options import DeviceName, ModelName, SeenSize, gather_prompts, parse_size
from maskscope.cli.step_bar import StepBar

if TYPE_CHECKING:
    from maskscope.studies.adapt import AdaptedFile

HELP = """
Adapt a model to the objects of one frame, before it follows them.

Mark the objects on one frame of a video, or on a picture of the same scene. The frame is taken apart \
and set in motion, and a minute of training on that teaches what tells these objects from just what surrounds \
them. The file serves --model of every command; the masks, for --mask, lie beside it. For a plant whose camera and \
parts stay the same it has to be done once.

Give a mask that is good to the outline: what it gets wrong is learned. By points or a box the model's own mask is \
learned; look at it first. A model that was adapted to one scene follows other things worse.

Examples:

\b
  maskscope adapt line.mp4 --mask first.png --out line.safetensors
  maskscope track line.mp4 --mask line-masks.png --model line.safetensors
\b
  both in one:
  maskscope track line.mp4 --mask first.png --adapt
"""


def adapt(
    source: Annotated[
        str,
        typer.Argument(metavar="INPUT", help="Video file, folder of images, or one picture.", show_default=False),
    ],
    point: Annotated[
        list[str] | None, typer.Option(metavar="X,Y[,LABEL[,OBJECT]]", help="A pixel on the object, as in track.")
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(metavar="X0,Y0,X1,Y1[,OBJECT]", help="A box around the object, in pixels."),
    ] = None,
    mask: Annotated[Path | None, typer.Option(metavar="FILE", help="PNG with the objects of that frame.")] = None,
    frame: Annotated[int, typer.Option(metavar="N", help="The frame that these are for; frames count from 0.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights to write. (default: INPUT's name with -adapted)")
    ] = None,
    model: ModelName = "compact",
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="How long to train.")] = 40,
    image_size: SeenSize = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the motion that is made up.")] = 0,
    device: DeviceName = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Adapt a model to the objects of one frame; see `HELP`."""
    from maskscope.cli.track import default_folder
    from maskscope.studies.adapt import AdaptOptions, adapt_to_video

    path = out or Path(f"{default_folder(source, 'adapted')}.safetensors")
    with stopping("step") as stop, StepBar() as bar:
        adapted = adapt_to_video(
            source,
            lambda size: gather_prompts(point or (), box or (), mask, size),
            path,
            AdaptOptions(steps=steps, seed=seed),
            frame=frame,
            model=model,
            image_size=parse_size(image_size),
            device=device,
            overwrite=overwrite,
            watch=bar,
            stop=stop,
        )
    if adapted is None:
        typer.echo(f"stopped after step {bar.done} of {steps}; nothing was written", err=True)
        raise typer.Exit(stop.exit_code)
    typer.echo(told(adapted))
    on_frame = ["--frame", str(frame)] if frame else []
    seen_as = ["--image-size", image_size] if image_size else []
    files = ["--mask", str(adapted.masks), "--model", str(adapted.weights)]
    typer.echo(shlex.join(["maskscope", "track", source, *files, *on_frame, *seen_as]))


def told(adapted: AdaptedFile) -> str:
    """What came of it; a second line warns of masks that nobody has looked at."""
    objects = f"{adapted.objects} object{'s' * (adapted.objects != 1)}"
    seen = f"J {adapted.before:.2f} before, {adapted.after:.2f} after, on made-up motion it was not trained on"
    done = "was adapted before" if adapted.earlier else "adapted"
    written = f"{adapted.weights}, masks in {adapted.masks}"
    if not adapted.better:
        lines = [f"{done} to {objects}, no better: {seen}; {written} (the weights as they were)"]
    else:
        lines = [f"{done} to {objects}: {seen}; {written}"]
    if adapted.better and not adapted.exact:
        lines.append(
            f"warning: {adapted.masks} is the model's own mask, and what is wrong in it was learned: look at it"
        )
    return "\n".join(lines)
