"""MOSEv2's measures: a boundary tolerance that adapts to the object, and scores of disappearance and reappearance.

Source: Ding et al., "MOSEv2", arXiv 2508.05630, eq. (1), and the authors' program (`metricsv2.py` and `score.py` in
MOSE-api), which published numbers come from. Where the two differ the program is followed:

- the paper's tolerance is w = min(0.008 D, 0.1 sqrt(A)), D the image diagonal, A the object's true area; the program
  rounds the second term up, and leaves the first as it is, 17.62 pixels at 1080p;
- its disk of a fractional radius is not centred on the pixel: coordinates go from -r in steps of 1, the middle one of
  them counts as the centre;
- where the first term is the smaller, the standard F beside it uses that same disk, otherwise the rounded one of DAVIS;
- J is smoothed, (I + 1) / (U + 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import ShapeError
from maskscope.evaluate.boundary import DAVIS_TOLERANCE, box_around, outline, outlines_f
from maskscope.evaluate.masks import as_mask_pair
from maskscope.evaluate.reach import Neighbourhood, disk, neighbourhood_of
from maskscope.evaluate.scores import ObjectScore

AREA_SHARE = 0.1
"""Share of the square root of the object's area within which outlines match: alpha in the paper's eq. (1)."""


def adaptive_boundary_f(prediction: ArrayLike, truth: ArrayLike) -> float:
    """F of one frame under MOSEv2's adaptive tolerance, in 0..1.

    Args:
        prediction: `(H, W)` bool or integer, 0 is background.
        truth: the same shape.

    Raises:
        ShapeError: the shapes do not go together, or are of more than one frame.
        MaskscopeError: a mask is neither boolean nor integer.
    """
    predicted, true = as_mask_pair(prediction, truth, None)
    if true.ndim != 2:
        raise ShapeError(f"the adaptive F is of one frame, (height, width); the masks have shape {true.shape}")
    height, width = true.shape
    box = box_around(predicted | true)
    return outlines_pair(outline(predicted[box]), outline(true[box]), int(np.count_nonzero(true)), height, width)[1]


def outlines_pair(
    predicted: NDArray[np.uint8], true: NDArray[np.uint8], area_px: int, height: int, width: int
) -> tuple[float, float]:
    """Standard and adaptive F of two outlines, 0 and 1.

    Args:
        predicted: `(h, w)` uint8 of 0 and 1, the part of the frame that holds both outlines.
        true: the same part of the true one.
        area_px: pixels of the true mask.
        height: of the whole frame, pixels.
        width: the same.
    """
    cap_px = DAVIS_TOLERANCE * math.sqrt(height * height + width * width)
    own_px = adaptive_radius_px(area_px, height, width)
    adaptive = outlines_f(predicted, true, stepped_disk(own_px))
    if own_px < cap_px:
        return outlines_f(predicted, true, stepped_disk(math.ceil(cap_px))), adaptive
    return adaptive, adaptive


def adaptive_radius_px(area_px: int, height: int, width: int) -> float:
    """Distance within which outlines match; an absent object has the image's, which then decides nothing."""
    cap_px = DAVIS_TOLERANCE * math.sqrt(height * height + width * width)
    return min(cap_px, math.ceil(AREA_SHARE * math.sqrt(area_px))) if area_px else cap_px


@lru_cache(maxsize=256)
def stepped_disk(radius_px: float) -> Neighbourhood:
    """The program's disk: off centre by up to a pixel where the radius is a fraction.

    Below a pixel, which takes an image of less than 125 pixels from corner to corner, it may be empty; then outlines
    match where they are the same.
    """
    steps = np.arange(-radius_px, radius_px + 1)
    near = neighbourhood_of(steps[:, None] ** 2 + steps[None, :] ** 2 <= radius_px**2)
    return near if near.runs else disk(0)


def disappearance_clips(visible: NDArray[np.bool_]) -> list[slice]:
    """Maximal runs of frames on which truth lacks the object, less one that begins with the first frame.

    Args:
        visible: `(n_frames,)` whether the true mask shows the object, on the frames that count.
    """
    return [run for run in _runs(~visible) if run.start > 0]


def reappearance_clips(visible: NDArray[np.bool_]) -> list[slice]:
    """Maximal runs of frames on which truth shows the object again after an absence, one at the very start included."""
    return [run for run in _runs(visible) if run.start > 0]


@dataclass(frozen=True)
class ClipScore:
    """J and adaptive F over clips of one kind: mean over frames, clips and, of a data set, objects with such clips."""

    j: float
    f_adaptive: float
    num_clips: int

    @property
    def j_and_f_adaptive(self) -> float:
        """Mean of the two: J&F-dot_d of disappearance, J&F-dot_r of reappearance."""
        return (self.j + self.f_adaptive) / 2

    @classmethod
    def average(cls, parts: Sequence[ClipScore]) -> ClipScore | None:
        """Every part counted once; None without parts."""
        if not parts:
            return None
        j, f = np.mean([(part.j, part.f_adaptive) for part in parts], axis=0)
        return cls(float(j), float(f), sum(part.num_clips for part in parts))


@dataclass(frozen=True)
class ComeAndGo:
    """Scores over disappearance and reappearance clips; None where there is no such clip."""

    disappearance: ClipScore | None
    reappearance: ClipScore | None

    @classmethod
    def of(cls, score: ObjectScore) -> ComeAndGo:
        """Of one object scored under a protocol with adaptive F; no clips where nothing was predicted at all."""
        visible = score.truth_px > 0
        if score.adaptive is None or not score.predicted:
            return cls(None, None)
        return cls(*(_over(score, clips) for clips in (disappearance_clips(visible), reappearance_clips(visible))))

    @classmethod
    def average(cls, objects: Iterable[ObjectScore]) -> ComeAndGo:
        """Mean over the objects that have such clips."""
        each = [cls.of(score) for score in objects]
        return cls(
            ClipScore.average([one.disappearance for one in each if one.disappearance]),
            ClipScore.average([one.reappearance for one in each if one.reappearance]),
        )


def _over(score: ObjectScore, clips: Sequence[slice]) -> ClipScore | None:
    assert score.adaptive is not None
    return ClipScore.average(
        [ClipScore(float(score.region[clip].mean()), float(score.adaptive[clip].mean()), 1) for clip in clips]
    )


def _runs(holds: NDArray[np.bool_]) -> list[slice]:
    """Maximal runs of True."""
    borders = np.flatnonzero(np.diff(np.concatenate(([False], holds, [False])).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in borders.reshape(-1, 2)]
