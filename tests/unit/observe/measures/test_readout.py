"""Moments add up, shrinkage is Ledoit and Wolf's, and read-outs and Fisher ratios have known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.observe.measures.readout import (
    ClassMoments,
    Moments,
    Readout,
    add_up,
    fisher_ratio,
    leave_one_out,
)


def normal(n: int, shift: tuple[float, ...], spread: tuple[float, ...], seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(shift, spread, (n, len(shift))))


def test_moments_of_parts_are_those_of_the_whole() -> None:
    x = normal(50, (1, -2, 300), (1, 2, 3), 0)
    parts = Moments.of(x[:1]) + Moments.of(x[1:20]) + Moments.of(x[20:])
    whole = Moments.of(x)
    assert parts.count == 50
    torch.testing.assert_close(parts.mean_c, x.mean(0))
    torch.testing.assert_close(parts.scatter_cc, torch.cov(x.T) * 49)
    torch.testing.assert_close(whole.scatter_cc, parts.scatter_cc)
    assert whole.fourth == pytest.approx(float(((x - x.mean(0)) ** 2).sum(1).square().sum()))
    with pytest.raises(ShapeError, match=r"\(n, c\) with n at least 1, they are \(0, 3\)"):
        Moments.of(x[:0])


def test_fisher_ratio_of_known_distributions() -> None:
    """Means apart by (2, 0) with deviations (1, 10), and by a correlated direction."""
    wide = ClassMoments.of(normal(20_000, (2, 0), (1, 10), 1), normal(20_000, (0, 0), (1, 10), 2))
    within = torch.tensor([[1.0, 0.0], [0.0, 100.0]], dtype=torch.float64)
    shrunk = 0.99 * within + 0.01 * 50.5 * torch.eye(2, dtype=torch.float64)
    expected = 4 / float(shrunk[0, 0])
    assert fisher_ratio(wide) == pytest.approx(expected, rel=0.05)
    same = ClassMoments.of(normal(20_000, (0, 0), (1, 1), 1), normal(20_000, (0, 0), (1, 1), 2))
    assert fisher_ratio(same) == pytest.approx(0, abs=0.01)
    one = ClassMoments.of(normal(4000, (3,), (1,), 1), normal(4000, (0,), (1,), 2))
    assert fisher_ratio(one) == pytest.approx(9, rel=0.1)


def test_the_ratio_does_not_depend_on_scale() -> None:
    a, b = normal(40, (1, 0, 0, 0), (1, 2, 1, 1), 1), normal(300, (0, 0, 1, 0), (1, 2, 1, 1), 2)
    plain = fisher_ratio(ClassMoments.of(a, b))
    assert plain > 0.5
    assert fisher_ratio(ClassMoments.of(1000 * a + 7, 1000 * b + 7)) == pytest.approx(plain, rel=1e-6)


def test_shrinkage_is_ledoit_and_wolfs() -> None:
    """Against the estimate written out over single observations."""
    x = torch.cat((normal(15, (0,) * 6, (1, 1, 1, 2, 2, 2), 5), normal(25, (0,) * 6, (1, 1, 1, 2, 2, 2), 6)))
    moments = ClassMoments.of(x[:15], x[15:])
    rest = torch.cat((x[:15] - x[:15].mean(0), x[15:] - x[15:].mean(0)))
    covariance = rest.T @ rest / 40
    target = covariance.trace() / 6 * torch.eye(6, dtype=torch.float64)
    spread = (covariance - target).square().sum()
    noise = torch.stack([(torch.outer(r, r) - covariance).square().sum() for r in rest]).sum() / 40**2
    amount = min(1.0, float(noise / spread))
    assert 0.05 < amount < 1
    torch.testing.assert_close(moments.within(0), (1 - amount) * covariance + amount * target, rtol=1e-6, atol=1e-9)
    stronger = moments.within(1.0)
    torch.testing.assert_close(stronger, target, rtol=1e-6, atol=1e-9)


def test_a_read_out_finds_the_direction_through_the_noise() -> None:
    """Channel 0 tells the classes apart by 1, channel 1 by 2 but is drowned in noise of 10."""
    readout = Readout.fit(ClassMoments.of(normal(9000, (1, 2), (1, 10), 1), normal(9000, (0, 0), (1, 10), 2)), 5)
    assert readout.frame == 5
    assert float(readout.direction_c.norm()) == pytest.approx(1)
    shrunk = np.array([0.99 + 0.01 * 50.5, 99 + 0.01 * 50.5])
    expected = np.array([1, 2]) / shrunk
    np.testing.assert_allclose(readout.direction_c, expected / np.linalg.norm(expected), atol=0.05)
    np.testing.assert_allclose(readout.prototype_c, np.array([1, 2]) / 5**0.5, atol=0.1)
    np.testing.assert_allclose(readout.centre_c, [0.5, 1], atol=0.1)


def test_features_that_do_not_vary_are_no_error() -> None:
    flat = ClassMoments.of(torch.ones(4, 3), torch.ones(6, 3))
    assert fisher_ratio(flat) == 0
    assert Readout.fit(flat).direction_c.tolist() == [0, 0, 0]
    apart = Readout.fit(ClassMoments.of(torch.tensor([[100.0, 0.0]]), torch.zeros(3, 2)))
    np.testing.assert_allclose(apart.direction_c, [1, 0], atol=1e-6)


def test_one_clip_is_left_out() -> None:
    """Two clips share a direction, the third has another; each is read by what the others know."""
    same, other = (3.0, 0.0), (0.0, 3.0)
    clips = {
        name: {"image_embedding": ClassMoments.of(normal(500, at, (1, 1), n), normal(500, (0, 0), (1, 1), n + 50))}
        for n, (name, at) in enumerate({"a": same, "b": same, "c": other}.items())
    }
    clips["c"]["memory_features"] = clips["a"]["image_embedding"]
    readouts = leave_one_out(clips)
    assert abs(float(readouts["c"]["image_embedding"].direction_c[0])) > 0.99
    assert readouts["a"]["image_embedding"].direction_c.min() > 0.5
    assert {name: sorted(places) for name, places in readouts.items()} == {
        "a": ["image_embedding", "memory_features"],
        "b": ["image_embedding", "memory_features"],
        "c": ["image_embedding"],
    }
    with pytest.raises(MaskscopeError, match="takes two or more, there are 1"):
        leave_one_out({"a": clips["a"]})
    with pytest.raises(MaskscopeError, match="no moments"):
        add_up([])
