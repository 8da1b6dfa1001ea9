"""What `observe` and `diagnose` ask alike: the clip, the object, the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.cli.options import PrecisionChoice, gather_prompts
from maskscope.errors import SettingError
from maskscope.stages import STAGES

if TYPE_CHECKING:
    from maskscope.studies.keeping import Keep
    from maskscope.studies.looked_at import LookedAt
    from maskscope.tracking.prompts import Prompt

_WHAT, _MODEL, _KEPT = "Which object", "Model", "Kept besides"

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


SaveFeatures = Annotated[
    Path | None,
    typer.Option(
        "--save-features",
        metavar="DIR.zarr",
        help="Keep the features of the clip as it is, frame by frame (Zarr). Needs maskscope[features].",
        rich_help_panel=_KEPT,
    ),
]
FeaturesOf = Annotated[
    str | None,
    typer.Option(
        "--features-of", metavar="NAME[,NAME]", help="Positions to keep. (default: all five)", rich_help_panel=_KEPT
    ),
]
FeaturesAs = Annotated[
    str, typer.Option("--features-as", metavar="float16|float32", help="Precision on disk.", rich_help_panel=_KEPT)
]
RerunFile = Annotated[
    Path | None,
    typer.Option(
        "--rerun",
        metavar="FILE.rrd",
        help="Record frames, masks, positions and measures for the Rerun viewer. Needs maskscope[rerun].",
        rich_help_panel=_KEPT,
    ),
]


def kept(features: Path | None, of: str | None, precision: str, rerun: Path | None) -> Keep | None:
    """What is kept beside the records; None where nothing was asked for.

    Raises:
        SettingError: an unknown position or precision, or one without `--save-features`.
    """
    from maskscope.studies.keeping import Keep
    from maskscope.studies.saved_features import FeatureChoice

    if features is None and of is not None:
        raise SettingError("--features-of says what to keep, not where", "add --save-features DIR.zarr")
    names = STAGES if of is None else tuple(word.strip() for word in of.split(",") if word.strip())
    choice = None if features is None else FeatureChoice(features, names, precision)  # type: ignore[arg-type]
    return Keep(choice, rerun) if choice is not None or rerun is not None else None


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
    return gather_prompts(points or (), boxes or (), mask, clip.size)


def folder_for(clip: LookedAt, out: Path | None, ending: str) -> Path:
    """The folder that was named, else one named after the clip."""
    return out or Path((re.sub(r"[^\w.-]+", "-", clip.name).strip("-.") or "clip") + ending)


def told_truth(annotated: bool) -> str:
    """What masks are compared with, in a sentence."""
    if annotated:
        return "compared with the given masks"
    return "no true masks given: compared with the undisturbed run's own masks, which shows change, not correctness"
