"""A linear read-out from the moments of two classes, in closed form, and the Fisher ratio between them.

Moments are small (channels x channels), whatever the number of cells, and those of several frames or clips add up: so
read-outs are fitted on a frame, on a clip, or on all clips but one, and no feature is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from maskscope.errors import MaskscopeError, ShapeError

LEAST_SHRINKAGE: Final = 0.01
"""Neighbouring cells resemble each other: fewer are independent than Ledoit and Wolf's estimate counts on."""

_NO_VARIANCE: Final = 1e-12  # features that do not vary at all are no error


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Of one class.

    Attributes:
        count: number of cells.
        mean_c: (c,) float64.
        scatter_cc: (c, c) float64, the sum of (x - mean)(x - mean)'.
        fourth: the sum of |x - mean|^4, each about the mean of its own batch; Ledoit and Wolf's estimate needs it.
    """

    count: int
    mean_c: Tensor
    scatter_cc: Tensor
    fourth: float

    @classmethod
    def of(cls, tokens_nc: Tensor) -> Moments:
        """Of (n, c) cells, n at least 1."""
        if tokens_nc.ndim != 2 or len(tokens_nc) == 0:
            raise ShapeError(f"cells are (n, c) with n at least 1, they are {tuple(tokens_nc.shape)}")
        mean = tokens_nc.mean(0)
        rest = tokens_nc - mean
        scatter = (rest.t() @ rest).cpu().double()  # the product in the features' precision, sums of many in double
        fourth = float(rest.square().sum(1).square().sum())
        return cls(len(tokens_nc), mean.cpu().double(), scatter, fourth)

    def __add__(self, other: Moments) -> Moments:
        """Of both together (Chan, Golub and LeVeque, 1979)."""
        count = self.count + other.count
        apart = other.mean_c - self.mean_c
        between = torch.outer(apart, apart) * (self.count * other.count / count)
        return Moments(
            count,
            self.mean_c + apart * (other.count / count),
            self.scatter_cc + other.scatter_cc + between,
            self.fourth + other.fourth,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ClassMoments:
    """Of object and background."""

    object: Moments
    background: Moments

    @classmethod
    def of(cls, object_nc: Tensor, background_nc: Tensor) -> ClassMoments:
        """Of the cells of each, (n, c) with n at least 1."""
        return cls(Moments.of(object_nc), Moments.of(background_nc))

    def is_finite(self) -> bool:
        """False where features have overflown."""
        return all(bool(torch.isfinite(of.scatter_cc).all()) for of in (self.object, self.background))

    def __add__(self, other: ClassMoments) -> ClassMoments:
        return ClassMoments(self.object + other.object, self.background + other.background)

    @property
    def mean_c(self) -> Tensor:
        """(c,) of all cells."""
        n1, n0 = self.object.count, self.background.count
        return (n1 * self.object.mean_c + n0 * self.background.mean_c) / (n1 + n0)

    @property
    def apart_c(self) -> Tensor:
        """(c,) from the background's mean to the object's."""
        return self.object.mean_c - self.background.mean_c

    def within(self, least_shrinkage: float = LEAST_SHRINKAGE) -> Tensor:
        """(c, c) covariance within the classes, pooled, shrunk towards a multiple of the identity.

        S* = (1 - a) S + a tr(S)/c I, with the intensity a of Ledoit and Wolf (2004), `least_shrinkage` at least.
        """
        count, width = self.object.count + self.background.count, len(self.object.mean_c)
        covariance = (self.object.scatter_cc + self.background.scatter_cc) / count
        scale = covariance.diagonal().mean()
        square = covariance.square().sum()
        spread = square - width * scale.square()  # how far from a multiple of the identity
        noise = (self.object.fourth + self.background.fourth) / count**2 - square / count
        amount = float((noise / spread).clamp(least_shrinkage, 1)) if spread > 0 else 1.0
        shrunk = covariance * (1 - amount)
        shrunk.diagonal().add_(amount * scale + _NO_VARIANCE)
        return shrunk


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """A direction along which object and background lie apart, and the object's prototype.

    Attributes:
        direction_c: (c,) float32 of unit length, along S*^-1 (object's mean - background's mean).
        centre_c: (c,) float32, the mean of all cells it was fitted on.
        prototype_c: (c,) float32 of unit length, from the centre to the object's mean.
        frame: where it was fitted; None for a read-out of other clips.
    """

    direction_c: Tensor
    centre_c: Tensor
    prototype_c: Tensor
    frame: int | None = None

    @classmethod
    def fit(cls, moments: ClassMoments, frame: int | None = None, device: torch.device | None = None) -> Readout:
        """Linear discriminant analysis with shrinkage; `device` is where features will be."""
        direction = F.normalize(_solve(moments.within(), moments.apart_c), dim=0)
        prototype = F.normalize(moments.object.mean_c - moments.mean_c, dim=0)
        direction, centre, prototype = (v.float().to(device) for v in (direction, moments.mean_c, prototype))
        return cls(direction, centre, prototype, frame)


def fisher_ratio(moments: ClassMoments) -> float:
    """Squared distance of the two means in units of the spread within them: d' S*^-1 d, 0 or more.

    For one channel it is (difference of means / standard deviation)^2. Higher is further apart. Estimated from few
    cells in many channels it is too large; shrinkage pulls it down again.
    """
    apart = moments.apart_c
    return max(0.0, float(apart @ _solve(moments.within(), apart)))


def leave_one_out(
    moments: Mapping[str, Mapping[str, ClassMoments]], device: torch.device | None = None
) -> dict[str, dict[str, Readout]]:
    """For each clip, the read-outs of all others, at each place that any of the others has.

    Args:
        moments: of each clip, by place, as `Separation.moments` gives them.
        device: where features will be.

    Raises:
        MaskscopeError: there are fewer than two clips.
    """
    if len(moments) < 2:
        raise MaskscopeError(f"leaving one clip out takes two or more, there are {len(moments)}")
    readouts: dict[str, dict[str, Readout]] = {}
    for left_out in moments:
        others = [of_clip for clip, of_clip in moments.items() if clip != left_out]
        places = dict.fromkeys(place for of_clip in others for place in of_clip)
        readouts[left_out] = {
            place: Readout.fit(add_up(of_clip[place] for of_clip in others if place in of_clip), device=device)
            for place in places
        }
    return readouts


def add_up(moments: Iterable[ClassMoments]) -> ClassMoments:
    """Of all together.

    Raises:
        MaskscopeError: there are none.
    """
    total: ClassMoments | None = None
    for more in moments:
        total = more if total is None else total + more
    if total is None:
        raise MaskscopeError("there are no moments to add up")
    return total


def _solve(matrix_cc: Tensor, vector_c: Tensor) -> Tensor:
    return torch.cholesky_solve(vector_c[:, None], torch.linalg.cholesky(matrix_cc))[:, 0]
