"""From what is typed to what the library takes: points, boxes, masks and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from maskscope.errors import PromptError, ShapeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from maskscope.tracking.prompts import Prompt

Box = tuple[float, float, float, float]


ModelName = Annotated[str, typer.Option(metavar="NAME|PATH", help="One of `maskscope models`, or a file of weights.")]
SeenSize = Annotated[
    str | None, typer.Option(metavar="HxW", help="Size at which the model sees frames. (default: as trained)")
]
DeviceName = Annotated[
    str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 ... (default: the GPU if there is one)")
]
"""Of the commands that train, or ask what to train on."""


class PrecisionChoice(StrEnum):
    """Names of `--precision`."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


@dataclass(slots=True)
class _Spoken:
    """What was said of one object."""

    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None


def gather_prompts(
    points: Sequence[str],
    boxes: Sequence[str],
    mask: Path | None,
    size: tuple[int, int],
    resize_mask: bool | None = None,
) -> list[Prompt]:
    """One prompt for each object, in order of their numbers.

    Args:
        points: each `X,Y[,LABEL[,OBJECT]]`.
        boxes: each `X0,Y0,X1,Y1[,OBJECT]`.
        mask: a file whose values are object numbers.
        size: (H, W) of the video in pixels.
        resize_mask: a mask of another size is brought to `size` by its nearest pixels instead of refused; None where
            the command has no option that would.

    Raises:
        PromptError: text that is none of these, two boxes for one object, a mask that cannot be used, or nothing.
    """
    from maskscope.tracking.prompts import Prompt

    objects: dict[int, _Spoken] = {}
    for text in points:
        x, y, label, object_id = parse_point(text)
        spoken = objects.setdefault(object_id, _Spoken())
        spoken.points.append((x, y))
        spoken.labels.append(label)
    for text in boxes:
        box, object_id = parse_box(text)
        spoken = objects.setdefault(object_id, _Spoken())
        if spoken.box is not None:
            raise PromptError(f"object {object_id} has two boxes", f"number the objects: --box {text},2")
        spoken.box = box
    if mask is not None:
        for object_id, object_mask in read_objects(mask, size, resize_mask).items():
            objects.setdefault(object_id, _Spoken()).mask = object_mask
    if not objects:
        raise PromptError("nothing says which object to follow", "give --point X,Y or --box X0,Y0,X1,Y1 or --mask FILE")
    return [
        Prompt(number, spoken.points, spoken.labels, spoken.box, spoken.mask)
        for number, spoken in sorted(objects.items())
    ]


def parse_point(text: str) -> tuple[float, float, int, int]:
    """`X,Y[,LABEL[,OBJECT]]` as x, y, label (1 if not given) and object (1 if not given)."""
    numbers = _numbers(text, (2, 3, 4), f"--point {text!r} is not X,Y[,LABEL[,OBJECT]]", "for example --point 320,180")
    label, object_id = [*numbers[2:], *(1.0, 1.0)[len(numbers) - 2 :]]
    if label not in (0, 1):
        raise PromptError(
            f"--point {text!r} has label {label:g}, expected 1 (on the object) or 0 (not on it)",
            "the object's number is the fourth: X,Y,1,OBJECT",
        )
    return numbers[0], numbers[1], int(label), _whole(object_id, f"--point {text!r}")


def parse_box(text: str) -> tuple[Box, int]:
    """`X0,Y0,X1,Y1[,OBJECT]` as box and object (1 if not given)."""
    numbers = _numbers(text, (4, 5), f"--box {text!r} is not X0,Y0,X1,Y1[,OBJECT]", "for example --box 200,80,420,330")
    left, top, right, bottom = numbers[:4]
    return (left, top, right, bottom), _whole(numbers[4] if len(numbers) == 5 else 1.0, f"--box {text!r}")


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`HxW` as (height, width); None stays None.

    Raises:
        ShapeError: anything else.
    """
    if text is None:
        return None
    found = re.fullmatch(r"\s*([0-9]+)\s*[xX]\s*([0-9]+)\s*", text)
    if not found:
        raise ShapeError(f"--image-size {text!r} is not HEIGHTxWIDTH", "for example --image-size 288x512")
    return int(found[1]), int(found[2])


def read_objects(path: Path, size: tuple[int, int], resize: bool | None = None) -> dict[int, NDArray[np.bool_]]:
    """The objects of a mask file, (H, W) bool each, by number.

    Args:
        path: of the mask.
        size: (height, width) of the video.
        resize: see `resize_mask` of `gather_prompts`.

    Raises:
        PromptError: not a mask, of another size without `resize`, or without an object.
    """
    import cv2
    import numpy as np

    from maskscope.data.mask_files import read_mask

    labels: NDArray[np.generic] = read_mask(path)
    if labels.shape != size:
        if not resize:
            raise PromptError(
                f"mask {path} is {labels.shape[1]} x {labels.shape[0]}, the video is {size[1]} x {size[0]}",
                "give a mask of the video's size" if resize is None else "add --resize-mask to have it resized",
            )
        labels = cv2.resize(labels.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    numbers = [int(number) for number in np.unique(labels) if number != 0]
    if not numbers:
        raise PromptError(f"mask {path} is empty: every pixel is background", "give a mask with an object in it")
    return {number: labels == number for number in numbers}


def _numbers(text: str, counts: tuple[int, ...], problem: str, remedy: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise PromptError(problem, remedy) from None
    if len(numbers) not in counts or not all(abs(number) < 1e9 for number in numbers):  # neither NaN
        raise PromptError(problem, remedy)
    return numbers


def _whole(number: float, where: str) -> int:
    if number != int(number):
        raise PromptError(f"{where} has object number {number:g}", "object numbers are 1, 2, 3 ...")
    return int(number)
