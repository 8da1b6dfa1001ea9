from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from maskscope.errors import SettingError, ShapeError
from maskscope.evaluate.statistics import Bootstrap, Interval, difference_interval, mean_interval

CLIPS = [float(value) for value in np.random.default_rng(5).beta(5, 1.5, size=30)]  # skewed, as scores are


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_ends_are_those_of_scipy(method: str) -> None:
    ours = mean_interval([[value] for value in CLIPS], Bootstrap(resamples=20_000, method=method))
    theirs = scipy.stats.bootstrap(
        (CLIPS,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(1), vectorized=True
    ).confidence_interval
    assert ours.estimate == pytest.approx(np.mean(CLIPS))
    spread = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * spread)


def test_bca_leans_to_the_longer_tail() -> None:
    plain, corrected = (
        mean_interval([[value] for value in CLIPS], Bootstrap(method=method)) for method in ("percentile", "bca")
    )
    assert corrected.low < plain.low
    assert corrected.high < plain.high


def test_objects_of_a_clip_are_drawn_together() -> None:
    # Ten copies of each clip's score as objects say nothing new.
    alone = mean_interval([[value] for value in CLIPS])
    copies = mean_interval([[value] * 10 for value in CLIPS])
    assert copies.low == pytest.approx(alone.low, abs=1e-12)
    assert copies.high == pytest.approx(alone.high, abs=1e-12)


def test_clips_weigh_by_their_objects() -> None:
    assert mean_interval([[1.0, 1.0, 1.0], [0.0]]).estimate == 0.75


def test_pairing_takes_out_what_clips_share() -> None:
    ours, theirs = [[value] for value in CLIPS], [[value - 0.01] for value in CLIPS]
    difference = difference_interval(ours, theirs)
    assert difference.estimate == pytest.approx(0.01)
    assert difference.high - difference.low < 1e-12
    alone = mean_interval(ours)
    assert alone.high - alone.low > 0.05
    with pytest.raises(ShapeError, match="same objects"):
        difference_interval([[1.0]], [[1.0, 0.5]])


def test_seeds_decide_and_batches_of_draws_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[value] for value in CLIPS]
    assert mean_interval(rows, Bootstrap(seed=3)) == mean_interval(rows, Bootstrap(seed=3))
    assert mean_interval(rows, Bootstrap(seed=3)) != mean_interval(rows, Bootstrap(seed=4))
    whole = mean_interval(rows, Bootstrap(resamples=500))
    monkeypatch.setattr("maskscope.evaluate.statistics._AT_ONCE", 64 * len(CLIPS))
    assert mean_interval(rows, Bootstrap(resamples=500)) == whole


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_what_does_not_vary_has_an_interval_of_itself(method: str) -> None:
    assert mean_interval([[0.4, 0.6]], Bootstrap(method=method)) == Interval(0.5, 0.5, 0.5)
    assert mean_interval([[0.5]] * 7, Bootstrap(method=method)) == Interval(0.5, 0.5, 0.5)


def test_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    truth, inside, times = 5 / 6.5, 0, 150
    for seed in range(times):
        clips = rng.beta(5, 1.5, size=(25, 1))
        interval = mean_interval(list(clips), Bootstrap(resamples=800, seed=seed))
        inside += interval.low <= truth <= interval.high
    assert 0.87 <= inside / times <= 0.99


@pytest.mark.parametrize(
    "settings", [{"confidence": 0.0}, {"confidence": 95.0}, {"resamples": 0}, {"method": "bootstrap-t"}]
)
def test_settings_out_of_range_are_refused(settings: dict) -> None:
    with pytest.raises(SettingError):
        Bootstrap(**settings)


@pytest.mark.parametrize("rows", [[], [1.0, 2.0], [[np.nan, 1.0]]])
def test_what_cannot_be_drawn_is_refused(rows: list) -> None:
    with pytest.raises(ShapeError, match="one row of finite numbers a clip"):
        Bootstrap().intervals(rows, lambda sums: sums)
