"""The objects of one frame, from a label map or from a mask for each object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.evaluate.masks import as_foreground

MaskFrame = ArrayLike | Mapping[int, ArrayLike]
"""A `(H, W)` label map, or object -> `(H, W)` mask, which may overlap."""


_FEW = 4


@dataclass(frozen=True, eq=False)
class FrameObjects:
    """What a frame says of its objects.

    Attributes:
        masks: `(H, W)` integer label map, or object -> `(H, W)` bool.
        size_hw: height and width, pixels.
        shown: objects with one pixel or more, ascending.
        told: objects that the frame tells of, shown or not; None for all.
        void_hw: pixels that belong to nobody, `(H, W)` bool; None for none.
    """

    masks: NDArray[np.integer] | Mapping[int, NDArray[np.bool_]]
    size_hw: tuple[int, int]
    shown: tuple[int, ...]
    told: frozenset[int] | None = None
    void_hw: NDArray[np.bool_] | None = None

    def mask(self, object_id: int) -> NDArray[np.bool_]:
        """`(H, W)` bool, empty where the frame does not show the object."""
        if isinstance(self.masks, np.ndarray):
            return np.asarray(self.masks == object_id)
        return self.masks[object_id] if object_id in self.masks else np.zeros(self.size_hw, dtype=np.bool_)

    @classmethod
    def read(cls, frame: MaskFrame, role: str, void_label: int | None = None) -> FrameObjects:
        """Check and sort out what came.

        Args:
            frame: an integer label map, 0 for background (boolean: object 1), or masks by object.
            role: what errors call it, such as "prediction of frame 3".
            void_label: label that is no object.

        Raises:
            ShapeError: not `(H, W)`, or masks of several sizes.
            MaskscopeError: neither integer nor boolean.
        """
        if isinstance(frame, Mapping):
            return cls._of_masks(frame, role)
        labels = _label_map(frame, role)
        height, width = labels.shape
        present = _labels(labels)
        return cls(
            labels,
            (height, width),
            shown=tuple(label for label in present if label != void_label),
            void_hw=np.asarray(labels == void_label) if void_label in present else None,
        )

    @classmethod
    def _of_masks(cls, frame: Mapping[int, ArrayLike], role: str) -> FrameObjects:
        masks = {number: as_foreground(mask, f"{role}, object {number},") for number, mask in frame.items()}
        sizes = sorted({mask.shape for mask in masks.values()})
        if len(sizes) != 1 or len(sizes[0]) != 2:
            raise ShapeError(
                f"masks of one frame are (height, width) and of one size, the {role} has {sizes or 'none'}",
                "give None for a frame that was not predicted",
            )
        shown = tuple(sorted(number for number, mask in masks.items() if mask.any()))
        height, width = sizes[0]
        return cls(masks, (height, width), shown, told=frozenset(masks))


def _label_map(labels: ArrayLike, role: str) -> NDArray[np.integer]:
    array = np.asarray(labels)
    if array.ndim != 2:
        raise ShapeError(f"a label map is (height, width), the {role} has shape {array.shape}")
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise MaskscopeError(f"a label map is integer or boolean, the {role} is {array.dtype}", "threshold it first")
    return array


def _labels(labels_hw: NDArray[np.integer]) -> list[int]:
    """Labels other than background, ascending."""
    if labels_hw.dtype != np.uint8 or labels_hw.size == 0:
        return [int(label) for label in np.unique(labels_hw) if label != 0]
    # The usual few are found by taking the highest away again and again, far faster than by counting or sorting.
    found: list[int] = []
    rest = np.ascontiguousarray(labels_hw)
    while len(found) < _FEW:
        highest = int(rest.max())
        if highest == 0:
            return found[::-1]
        found.append(highest)
        rest = cv2.threshold(rest, highest - 1, 0, cv2.THRESH_TOZERO_INV)[1]  # all below it stay
    counts = cv2.calcHist([np.ascontiguousarray(labels_hw)], [0], None, [256], [0, 256])
    return [int(label) for label in np.flatnonzero(counts) if label != 0]
