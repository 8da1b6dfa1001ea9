"""Debiased linear CKA: whether two sets of features arrange the same places alike, whatever axes they use.

    CKA = HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y))

with the unbiased estimator of Song et al. (JMLR 13, 2012, theorem 5) for linear kernels. Its numerator and denominators
are averaged over batches before the ratio is taken (Nguyen et al., arXiv 2010.15327): a mean of ratios would be biased
again. Without the correction, few places and many channels look alike whatever they show (Murphy et al., 2024).
"""

from __future__ import annotations

from math import sqrt

from torch import Tensor

from maskscope.errors import ShapeError

MIN_PLACES = 4
"""The estimator divides by n - 3."""


def unbiased_hsic(x_nd: Tensor, y_ne: Tensor) -> float:
    """HSIC of two linear kernels over the same n >= 4 places, without bias; it can be negative.

    The kernels' n x n matrices are never built: with their diagonals set to zero, all three terms of the estimator
    follow from products of d x e.

    Args:
        x_nd: (n, d) features of n places.
        y_ne: (n, e) features of the same places.

    Raises:
        ShapeError: fewer than four places, or not the same number of them.
    """
    n = len(x_nd)
    if x_nd.ndim != 2 or y_ne.ndim != 2 or len(y_ne) != n or n < MIN_PLACES:
        raise ShapeError(
            f"the features are {tuple(x_nd.shape)} and {tuple(y_ne.shape)}, expected (n, d) and (n, e) with n >= 4"
        )
    x, y = (z.double() - z.double().mean(0) for z in (x_nd, y_ne))  # changes nothing but the rounding
    own_x, own_y = x.square().sum(1), y.square().sum(1)  # the diagonals
    rows_x, rows_y = x @ x.sum(0) - own_x, y @ y.sum(0) - own_y
    trace = (x.T @ y).square().sum() - own_x @ own_y
    apart = rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2))
    across = 2 / (n - 2) * (rows_x @ rows_y)
    return float((trace + apart - across) / (n * (n - 3)))


class DebiasedCKA:
    """CKA over batches: frames come one by one, three sums are kept."""

    def __init__(self) -> None:
        self._both = self._x = self._y = 0.0

    def add(self, x_nd: Tensor, y_ne: Tensor) -> float | None:
        """Take in features of the same n places, as `unbiased_hsic` takes them, and give their own CKA.

        Raises:
            ShapeError: fewer than four places, or not the same number of them.
        """
        both, x, y = unbiased_hsic(x_nd, y_ne), unbiased_hsic(x_nd, x_nd), unbiased_hsic(y_ne, y_ne)
        self._both, self._x, self._y = self._both + both, self._x + x, self._y + y
        return _ratio(both, x, y)

    @property
    def value(self) -> float | None:
        """At most about 1 (the same but for rotation, scale and shift), 0 for unrelated, and negative by chance.

        None where one of the two does not vary over the places, or too little to be told from nothing.
        """
        return _ratio(self._both, self._x, self._y)


def debiased_cka(x_nd: Tensor, y_ne: Tensor) -> float | None:
    """`DebiasedCKA` of a single batch."""
    return DebiasedCKA().add(x_nd, y_ne)


def _ratio(both: float, x: float, y: float) -> float | None:
    return both / sqrt(x * y) if x > 0 and y > 0 else None


def places(features_chw: Tensor, region_hw: Tensor) -> Tensor:
    """Features of the cells of a region, (c, h, w) and (h, w) bool -> (n, c)."""
    picked: Tensor = features_chw.flatten(1).T[region_hw.flatten()]
    return picked
