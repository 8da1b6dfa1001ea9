"""Where the target of a clip is on each frame, kept small: what a plan that has to reach it looks at."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.errors import DatasetError
from maskscope.transforms.base import Clip

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TargetTrack:
    """All objects of the first frame as one target: whole outlines, whatever stood before them.

    Attributes:
        clip_name: for messages.
        size_hw: of the picture, pixels.
        labels: objects seen on frame 0.
        boxes: (n, 4) int: left, top, right, bottom in pixels, right and bottom excluded; zeros where absent.
        areas_px: (n,) pixels of the target within the picture.
        centroids: (n, 2) x, y in pixels; NaN where absent.
        outlines: per frame the box's pixels, eight in a byte.
    """

    clip_name: str
    size_hw: tuple[int, int]
    labels: tuple[int, ...]
    boxes: NDArray[np.int64]
    areas_px: NDArray[np.int64]
    centroids: Floats
    outlines: tuple[NDArray[np.uint8], ...]

    @classmethod
    def read(cls, clip: Clip) -> TargetTrack:
        """Go through a clip once.

        Raises:
            DatasetError: no object is seen on the first frame.
        """
        labels = tuple(int(label) for label in np.unique(clip.at(0).visible_hw) if label)
        if not labels:
            raise DatasetError(f"{clip.name} shows no object on its first frame", "start the clip where the target is")
        chosen = target_table(labels)
        n = clip.num_frames
        boxes, areas = np.zeros((n, 4), np.int64), np.zeros(n, np.int64)
        centroids, outlines = np.full((n, 2), np.nan), []
        for t in range(n):
            mask = np.asarray(cv2.LUT(clip.at(t).amodal_hw, chosen), np.uint8)
            left, top, wide, high = cv2.boundingRect(mask)
            part = mask[top : top + high, left : left + wide]
            outlines.append(np.packbits(part))
            if moments := cv2.moments(part, binaryImage=True) if wide else None:
                boxes[t] = left, top, left + wide, top + high
                areas[t] = round(moments["m00"])
                centroids[t] = left + moments["m10"] / moments["m00"], top + moments["m01"] / moments["m00"]
        return cls(clip.name, clip.size, labels, boxes, areas, centroids, tuple(outlines))

    @property
    def num_frames(self) -> int:
        """Of the clip."""
        return len(self.areas_px)

    def outline(self, t: int) -> NDArray[np.uint8]:
        """(h, w) uint8, 1 where the target is, of the box on frame `t`."""
        left, top, right, bottom = self.boxes[t]
        shape = (bottom - top, right - left)
        return np.unpackbits(self.outlines[t], count=int(shape[0] * shape[1])).reshape(shape)

    def middles(self) -> Floats:
        """(n, 2) x, y of the boxes' middles in pixels; NaN where absent."""
        middles = (self.boxes[:, :2] + self.boxes[:, 2:] - 1) / 2
        middles[self.areas_px == 0] = np.nan
        return middles

    def extents(self) -> Floats:
        """(n, 2) width, height of the boxes in pixels; NaN where absent."""
        extents = (self.boxes[:, 2:] - self.boxes[:, :2]).astype(np.float64)
        extents[self.areas_px == 0] = np.nan
        return extents


def target_table(labels: tuple[int, ...]) -> NDArray[np.uint8]:
    """(256,) uint8: 1 at the labels, 0 at the others."""
    table = np.zeros(256, np.uint8)
    table[list(labels)] = 1
    return table


def bridged(values: Floats) -> Floats:
    """(n, ...) with gaps of NaN filled in along a straight line in time, and level at both ends.

    At least one moment is known.
    """
    flat = values.reshape(len(values), -1).copy()
    moments = np.arange(len(flat))
    for column in flat.T:
        known = ~np.isnan(column)
        column[:] = np.interp(moments, moments[known], column[known])
    return flat.reshape(values.shape)


def smoothed(values: Floats, sigma_frames: float) -> Floats:
    """(n, ...) under a Gaussian window in time; the ends count as level beyond them."""
    if sigma_frames <= 0:
        return values
    reach = int(np.ceil(3 * sigma_frames))
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_frames) ** 2)
    window /= window.sum()
    flat = values.reshape(len(values), -1)
    padded = np.pad(flat, ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, window, mode="valid") for column in padded.T]
    return np.stack(columns, axis=-1).reshape(values.shape)
