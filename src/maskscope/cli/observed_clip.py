"""What `observe` and `diagnose` ask alike: the clip, the object, the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.options import PrecisionChoice, gather_prompts

if TYPE_CHECKING:
    from maskscope.studies.looked_at import LookedAt
    from maskscope.tracking.prompts import Prompt

_WHAT, _MODEL = "Which object", "Model"

Source = Annotated[
    str,
    typer.Argument(
        metavar="CLIP", help="Video file, folder of images, or data set (with --sequence).", show_default=False
    ),
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y[,LABEL[,OBJECT]]",
        help="A pixel on the object (label 1, the default) or beside it (label 0). Repeat for more.",
        rich_help_panel=_WHAT,
    ),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X0,Y0,X1,Y1[,OBJECT]",
        help="Left, top, right and bottom of a box around the object, in pixels.",
        rich_help_panel=_WHAT,
    ),
]
Mask = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="PNG of the video's size, objects by number.", rich_help_panel=_WHAT),
]
FrameNumber = Annotated[
    int,
    typer.Option(
        metavar="N", help="The frame that points, box or mask are for; work begins there.", rich_help_panel=_WHAT
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="True masks of a video, one picture for each frame.", rich_help_panel=_WHAT),
]
Sequence_ = Annotated[
    str | None, typer.Option("--sequence", metavar="NAME", help="Of a data set.", rich_help_panel=_WHAT)
]
Model = Annotated[
    str, typer.Option(metavar="NAME|PATH", help="One of `maskscope models`, or a file.", rich_help_panel=_MODEL)
]
Policy = Annotated[
    str,
    typer.Option(metavar="NAME[:key=value,...]", help="Of memory, see `maskscope policies`.", rich_help_panel=_MODEL),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="cpu, cuda ... (default: the GPU if there is one)", rich_help_panel=_MODEL),
]
Precision = Annotated[
    PrecisionChoice, typer.Option(help="auto takes bfloat16 where it is faster.", rich_help_panel=_MODEL)
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        metavar="HxW", help="Size at which the model sees the clip. (default: as trained)", rich_help_panel=_MODEL
    ),
]


def prompts_for(
    clip: LookedAt, points: Sequence[str] | None, boxes: Sequence[str] | None, mask: Path | None
) -> list[Prompt]:
    """What was said of the objects; of a clip with true masks those of its first frame, where nothing was.

    Raises:
        PromptError: nothing that means an object.
        DatasetError: the first true mask shows none.
    """
    if clip.annotated and not (points or boxes or mask):
        return clip.prompts()
    return gather_prompts(points or (), boxes or (), mask, clip.size, resize_mask=False)


def folder_for(clip: LookedAt, out: Path | None, ending: str) -> Path:
    """The folder that was named, else one named after the clip."""
    return out or Path((re.sub(r"[^\w.-]+", "-", clip.name).strip("-.") or "clip") + ending)


def told_truth(annotated: bool) -> str:
    """What masks are compared with, in a sentence."""
    if annotated:
        return "compared with the given masks"
    return "no true masks given: compared with the undisturbed run's own masks, which shows change, not correctness"
