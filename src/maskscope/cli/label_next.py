"""`maskscope label-next`: which frames to label next."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tqdm import tqdm

from maskscope.cli.options import DeviceName, ModelName, SeenSize, gather_prompts, parse_size
from maskscope.errors import PromptError

if TYPE_CHECKING:
    from maskscope.studies.label_next import Suggestion

HELP = """
Say which frames to label next.

Follows the objects from the labels there are, forwards and backwards, and looks for frames where the model shows that \
it is unsure: a low object score or predicted IoU, two directions that disagree, an object that looks unlike any \
labelled one. INPUT is a video with a first label (--mask, --box or --point), or a folder of clips with masks on some \
frames (JPEGImages and Annotations).

Examples:

\b
  maskscope label-next line.mp4 --mask first.png --count 5
  maskscope label-next parts --count 12
"""


def label_next(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Video, folder of images, or data set.", show_default=False)
    ],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many frames.")] = 10,
    point: Annotated[
        list[str] | None, typer.Option(metavar="X,Y[,LABEL[,OBJECT]]", help="A pixel on the object, as in track.")
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(metavar="X0,Y0,X1,Y1[,OBJECT]", help="A box around the object, in pixels.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(metavar="FILE", help="PNG with the objects of that frame.")] = None,
    frame: Annotated[int, typer.Option(metavar="N", help="The frame that these are for.")] = 0,
    model: ModelName = "compact",
    image_size: SeenSize = None,
    device: DeviceName = None,
) -> None:
    """Say which frames to label next; see `HELP`."""
    from maskscope.model.checkpoints import load_model
    from maskscope.model.precision import preferred_dtype
    from maskscope.studies.clips_to_label import clip_of_video, clips_of_dataset
    from maskscope.studies.label_next import label_next as choose
    from maskscope.studies.signs import clip_signs

    spoken = bool(point or box or mask)
    if source.is_dir() and (source / "JPEGImages").is_dir():
        if spoken:
            raise PromptError(f"{source} is a data set with labels of its own", "leave out --mask, --box and --point")
        clips = clips_of_dataset(source)
    else:
        clips = [
            clip_of_video(str(source), frame, lambda size: gather_prompts(point or (), box or (), mask, size, False))
        ]
    loaded = load_model(model, device=device, image_size=parse_size(image_size))
    loaded.set_precision(preferred_dtype(loaded.device))
    total = 2 * sum(clip.num_frames for clip in clips)
    with tqdm(desc="looking", total=total, unit=" frames", file=sys.stderr, disable=None) as bar:
        signs = [clip_signs(loaded, clip.name, clip.frames, clip.prompts, clip.labelled, bar.update) for clip in clips]
    typer.echo(_table(choose(signs, count)))


def _table(suggestions: Sequence[Suggestion]) -> str:
    header = ("", "clip", "frame", "object", "risk", "why")
    rows = [
        (str(rank), s.clip, str(s.frame), str(s.object_id), f"{s.risk:.2f}", "; ".join(s.reasons))
        for rank, s in enumerate(suggestions, 1)
    ]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    right = (True, False, True, True, True, False)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (header, *rows)
    )
