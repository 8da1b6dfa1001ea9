"""Times of frames in bounded memory, and weights told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskscope.studies.run_facts import Clock, weights_hash
from random_models import random_model


def test_the_clock_counts_in_memory_that_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = np.random.default_rng(0).lognormal(-3, 0.7, 4000)
    times = iter((100 + np.cumsum([0.0, *steps])).tolist())
    monkeypatch.setattr("maskscope.studies.run_facts.time.perf_counter", lambda: next(times))
    clock = Clock(began=next(times))
    size = clock.bins.nbytes
    for _ in steps:
        clock.tick()
    said = clock.statistics()
    assert clock.bins.nbytes == size < 20_000
    assert said["frames"] == 4000
    assert said["seconds"] == pytest.approx(steps.sum(), abs=1e-3)
    assert said["frames_per_s"] == pytest.approx(4000 / steps.sum(), rel=1e-3)
    assert said["median_ms"] == pytest.approx(1000 * np.median(steps), rel=0.01)
    assert said["p95_ms"] == pytest.approx(1000 * np.percentile(steps, 95), rel=0.01)


@pytest.mark.parametrize("step_s", [0.0, 1e-9, 1e6])
def test_no_frame_is_too_short_or_too_long(step_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskscope.studies.run_facts.time.perf_counter", lambda: 5.0 + step_s)
    clock = Clock(began=5.0)
    clock.tick()
    assert clock.statistics()["frames"] == 1
    assert clock.statistics()["median_ms"] > 0


def test_without_a_frame_there_are_no_times() -> None:
    assert Clock().statistics() == {
        "frames": 0,
        "seconds": 0.0,
        "frames_per_s": 0.0,
        "median_ms": None,
        "p95_ms": None,
    }


def test_one_bit_of_one_weight_counts() -> None:
    model, same = random_model(), random_model()
    assert weights_hash(model) == weights_hash(same)
    bias = same.get_parameter("mask_decoder.pred_obj_score_head.layers.2.bias")
    bias.view(torch.int32)[0] ^= 1
    assert weights_hash(model) != weights_hash(same)
