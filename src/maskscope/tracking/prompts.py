"""What a user says of an object on a frame, checked at the door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskscope.errors import PromptError

NEGATIVE, POSITIVE = 0, 1


@dataclass(frozen=True, eq=False)
class Prompt:
    """Points and/or a box, or a mask, for one object.

    Attributes:
        object_id: any integer; the same one on several frames is the same object.
        points_xy_px: x and y in pixels of the video, from its top left corner.
        labels: 1 positive, 0 negative, one a point; empty means all positive.
        box_xyxy_px: left, top, right, bottom in pixels of the video.
        mask: (H, W) of the video's size, non-zero is the object.
        keep_earlier: points are added to those given before for this object and frame instead of replacing them.
    """

    object_id: int
    points_xy_px: Sequence[tuple[float, float]] = ()
    labels: Sequence[int] = ()
    box_xyxy_px: tuple[float, float, float, float] | None = None
    mask: npt.NDArray[np.generic] | None = None
    keep_earlier: bool = False

    def check(self, height: int, width: int) -> None:
        """Raise `PromptError` unless the prompt can mean an object on a frame of that size."""
        name = f"object {self.object_id}"
        if isinstance(self.object_id, bool) or not isinstance(self.object_id, int | np.integer):
            raise PromptError(f"an object is called {self.object_id!r}", "object ids are whole numbers")
        if any(len(point) != 2 for point in self.points_xy_px):
            raise PromptError(
                f"{name} has points {list(self.points_xy_px)}", "a point is (x, y); labels go beside them"
            )
        spoken = bool(len(self.points_xy_px)) or self.box_xyxy_px is not None
        if self.mask is not None and spoken:
            raise PromptError(f"{name} has a mask and points or a box on one frame", "give one or the other")
        if self.mask is None and not spoken:
            raise PromptError(f"the prompt of {name} is empty", "give points, a box or a mask")
        if self.mask is not None:
            self._check_mask(self.mask, height, width, name)
        if len(self.labels) and len(self.labels) != len(self.points_xy_px):
            raise PromptError(
                f"{name} has {len(self.points_xy_px)} points and {len(self.labels)} labels", "give as many"
            )
        if any(label not in (NEGATIVE, POSITIVE) for label in self.labels):
            raise PromptError(f"{name} has labels {list(self.labels)}", "a label is 1 (object) or 0 (background)")
        for x, y in self.points_xy_px:
            if not (0 <= x < width and 0 <= y < height):
                raise PromptError(
                    f"point ({x:g}, {y:g}) of {name} lies outside the frame of {width} x {height}",
                    f"x is 0 to {width - 1}, y is 0 to {height - 1}",
                )
        if self.box_xyxy_px is not None:
            self._check_box(self.box_xyxy_px, height, width, name)

    @staticmethod
    def _check_mask(mask: npt.NDArray[np.generic], height: int, width: int, name: str) -> None:
        if mask.shape != (height, width):
            raise PromptError(
                f"the mask of {name} is {' x '.join(map(str, mask.shape[::-1]))}, the frame is {width} x {height}",
                "resize the mask (nearest neighbour) to the frame",
            )
        if not mask.any():
            raise PromptError(f"the mask of {name} is empty", "give a mask with at least one pixel of the object")

    @staticmethod
    def _check_box(box: tuple[float, float, float, float], height: int, width: int, name: str) -> None:
        x0, y0, x1, y1 = box
        if not (x0 < x1 and y0 < y1):
            raise PromptError(
                f"the box of {name} is inside out: ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})",
                "give left, top, right, bottom with left < right and top < bottom",
            )
        if not (x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height):
            raise PromptError(
                f"the box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) of {name} reaches outside the frame of {width} x {height}",
                "clip it to the frame",
            )


@dataclass(frozen=True, slots=True)
class ClickSet:
    """Clicks on one frame as the model takes them: box corners first, then points, in pixels of the video.

    Attributes:
        points_nxy_px: (n, 2) float32.
        labels_n: (n,) int64, see `maskscope.model.prompt_encoder`.
    """

    points_nxy_px: npt.NDArray[np.float32]
    labels_n: npt.NDArray[np.int64]

    @classmethod
    def of(cls, prompt: Prompt, earlier: ClickSet | None) -> ClickSet:
        """The prompt's clicks, after the earlier ones if it keeps them.

        Raises:
            PromptError: a box after earlier clicks, which the model has never seen.
        """
        points = np.asarray(prompt.points_xy_px, dtype=np.float32).reshape(-1, 2)
        labels = np.asarray(prompt.labels if len(prompt.labels) else [POSITIVE] * len(points), dtype=np.int64)
        if prompt.box_xyxy_px is not None:
            if prompt.keep_earlier and earlier is not None:
                raise PromptError(
                    f"object {prompt.object_id} gets a box after clicks on the same frame",
                    "give the box first, or replace the earlier clicks",
                )
            points = np.concatenate((np.asarray(prompt.box_xyxy_px, dtype=np.float32).reshape(2, 2), points))
            labels = np.concatenate((np.array([2, 3], dtype=np.int64), labels))
        if prompt.keep_earlier and earlier is not None:
            points = np.concatenate((earlier.points_nxy_px, points))
            labels = np.concatenate((earlier.labels_n, labels))
        return cls(points, labels)
