"""Debiased CKA: against the estimator written out with its n x n kernels, and on cases whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.observe.measures.cka import DebiasedCKA, debiased_cka, places, unbiased_hsic


def noise(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def written_out(x: Tensor, y: Tensor) -> float:
    """Song et al. 2012, theorem 5, with whole kernels."""
    n = len(x)
    k, m = (z @ z.T - torch.diag((z @ z.T).diagonal()) for z in (x, y))
    ones = torch.ones(n, dtype=x.dtype)
    sums = (k @ m).trace() + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return float((sums - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3)))


@pytest.mark.parametrize(("n", "d", "e"), [(4, 1, 1), (9, 3, 5), (30, 50, 2)])
def test_the_estimator_is_the_published_one(n: int, d: int, e: int) -> None:
    x, y = noise(n, d, 0) + 2.0, noise(n, e, 1) - 3.0
    assert unbiased_hsic(x, y) == pytest.approx(written_out(x, y), rel=1e-9, abs=1e-9)


def test_rotation_scale_and_shift_change_nothing() -> None:
    x = noise(40, 6, 0)
    rotation, _ = torch.linalg.qr(noise(6, 6, 1))
    assert debiased_cka(x, 3.0 * x @ rotation + 7.0) == pytest.approx(1.0, abs=1e-9)


def test_unrelated_features_are_at_zero_however_many_channels() -> None:
    """Where the biased estimate says that they are alike."""
    x, y = noise(40, 200, 0), noise(40, 200, 1)
    centred = [z - z.mean(0) for z in (x, y)]
    kernels = [z @ z.T for z in centred]
    biased = (kernels[0] * kernels[1]).sum() / (kernels[0].norm() * kernels[1].norm())
    assert float(biased) > 0.75
    assert debiased_cka(x, y) == pytest.approx(0.0, abs=0.05)


def test_half_of_what_varies_is_shared() -> None:
    """Two equal independent halves of which one is shared: HSIC 1 over sqrt(2 * 2)."""
    n = 4000
    shared, a, b = (noise(n, 1, seed) for seed in range(3))
    assert debiased_cka(torch.cat((shared, a), 1), torch.cat((shared, b), 1)) == pytest.approx(0.5, abs=0.04)


def test_sums_over_batches_come_before_the_ratio() -> None:
    pairs = [(noise(10, 3, s), noise(10, 3, s) + 0.1 * s * noise(10, 3, 50 + s)) for s in range(1, 4)]
    cka = DebiasedCKA()
    own = [cka.add(x, y) for x, y in pairs]
    both, xs, ys = (
        sum(unbiased_hsic(*pair) for pair in chosen)
        for chosen in (pairs, [(x, x) for x, _ in pairs], [(y, y) for _, y in pairs])
    )
    assert cka.value == pytest.approx(both / (xs * ys) ** 0.5)
    assert own == [pytest.approx(debiased_cka(x, y)) for x, y in pairs]
    assert cka.value != pytest.approx(sum(v for v in own if v is not None) / 3, abs=1e-4)


def test_what_does_not_vary_has_no_answer() -> None:
    assert debiased_cka(torch.ones(8, 3), noise(8, 3, 0)) is None


def test_too_few_places() -> None:
    with pytest.raises(ShapeError, match="n >= 4"):
        debiased_cka(noise(3, 2, 0), noise(3, 2, 1))


def test_places_are_cells_in_rows() -> None:
    features = torch.arange(12.0).reshape(2, 2, 3)
    region = torch.tensor([[False, True, False], [True, False, False]])
    assert places(features, region).tolist() == [[1.0, 7.0], [3.0, 9.0]]
