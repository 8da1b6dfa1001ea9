"""A step that was planted at a tap is found there; noise, and steps down, are not."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.errors import MaskscopeError, SettingError, ShapeError
from maskscope.observe.measures.onset import NOT_DETERMINED, Resampling, along_taps, onset, rows_of
from maskscope.observe.reading import Reading

TAPS = [f"tap{n}" for n in range(9)]


def planted(step_at: int, rise: float, units: int = 8, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.6 + rise * (np.arange(9) >= step_at) + noise * rng.standard_normal((units, 9))


@pytest.mark.parametrize("step_at", [1, 4, 8])
def test_a_planted_step_is_found_where_it_is(step_at: int) -> None:
    found = onset(planted(step_at, 0.3), TAPS)
    assert (found.state, found.tap, found.earliest, found.latest) == ("ok", *[f"tap{step_at}"] * 3)
    assert found.rise == pytest.approx(0.3, abs=0.06)
    assert found.p < 0.01


def test_a_weak_step_has_a_wide_interval() -> None:
    found = onset(planted(4, 0.06, units=12, noise=0.1, seed=1), TAPS)
    assert found.state == "ok"
    assert found.earliest is not None
    assert found.latest is not None
    assert TAPS.index(found.earliest) <= 4 <= TAPS.index(found.latest)
    assert found.earliest != found.latest


def test_noise_is_not_determined() -> None:
    """At 95 % confidence about one in twenty; over 60 draws more than 8 would be a fault of the test."""
    found = [onset(planted(0, 0, seed=seed), TAPS, Resampling(resamples=200, seed=seed)) for seed in range(60)]
    assert sum(one.state == "ok" for one in found) <= 8
    undetermined = next(one for one in found if one.state != "ok")
    assert (undetermined.tap, undetermined.earliest, undetermined.latest) == (None, None, None)
    assert undetermined.state == NOT_DETERMINED


def test_a_step_down_is_no_onset() -> None:
    found = onset(planted(4, -0.3), TAPS)
    assert (found.state, found.tap) == (NOT_DETERMINED, None)


def test_frames_that_resemble_each_other_are_no_independent_witnesses() -> None:
    """Forty copies of one noisy row: taken for clips they convince, taken for a block they do not."""
    copies = np.repeat(planted(0, 0, units=1, seed=5), 40, axis=0)
    copies += 1e-6 * np.random.default_rng(0).standard_normal(copies.shape)
    assert onset(copies, TAPS).p < 0.01
    assert onset(copies, TAPS, Resampling(block=40)).p > 0.05


def test_intervals_are_those_of_the_mean() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.7, 0.1, (400, 2))
    along = along_taps(values, ["a", "b"])
    np.testing.assert_allclose(along.mean_t, values.mean(0))
    np.testing.assert_allclose(along.high_t - along.mean_t, 1.96 * 0.1 / 20, rtol=0.15)
    np.testing.assert_allclose(along.mean_t - along.low_t, 1.96 * 0.1 / 20, rtol=0.15)
    again = along_taps(values, ["a", "b"])
    np.testing.assert_array_equal(again.low_t, along.low_t)
    slow = np.repeat(values[:40], 10, axis=0)
    widths = [
        np.ptp([a.low_t[0], a.high_t[0]])
        for a in (along_taps(slow, "ab"), along_taps(slow, "ab", Resampling(block=10)))
    ]
    assert widths[1] > 2 * widths[0], "ten frames that say the same are one"
    single = along_taps(values[:1], ["a", "b"])
    np.testing.assert_array_equal(single.low_t, single.high_t)


def test_rows_are_frames_that_have_every_place() -> None:
    def reading(stage: str, tap: str, frame: int, value: float | None, metric: str = "separation_auc") -> Reading:
        state = None if value is not None else "absent"
        return Reading(metric=metric, value=value, state=state, stage=stage, tap=tap, frame=frame, object=1)  # type: ignore[arg-type]

    readings = [
        reading("memory_conditioned", "", 2, 0.9),
        reading("image_embedding", "neck", 2, 0.4),
        reading("image_embedding", "neck", 1, 0.3),
        reading("memory_conditioned", "", 1, 0.8),
        reading("memory_conditioned", "", 3, 0.8),
        reading("image_embedding", "neck", 3, None),
        reading("image_embedding", "neck", 4, 0.3),
        reading("image_embedding", "neck", 4, 0.1, metric="other"),
    ]
    places = ["image_embedding/neck", "memory_conditioned"]
    np.testing.assert_array_equal(rows_of(readings, places), [[0.3, 0.8], [0.4, 0.9]])
    assert rows_of(readings, [*places, "memory_features"]).shape == (0, 3)


@pytest.mark.parametrize(
    ("values", "options", "error", "message"),
    [
        (np.zeros((0, 9)), {}, ShapeError, r"they are \(0, 9\) for 9 names"),
        (np.zeros((3, 8)), {}, ShapeError, r"they are \(3, 8\) for 9 names"),
        (np.full((3, 9), np.nan), {}, SettingError, "not all finite"),
        (np.zeros((3, 9)), {"block": 0}, SettingError, "block and resamples are 1 or more"),
        (np.zeros((3, 9)), {"confidence": 1.0}, SettingError, "above 0 and below 1"),
    ],
)
def test_what_cannot_be_tested_is_refused(
    values: np.ndarray, options: dict[str, float], error: type[MaskscopeError], message: str
) -> None:
    for function in (along_taps, onset):
        with pytest.raises(error, match=message):
            function(values, TAPS, Resampling(**options))  # type: ignore[arg-type, operator]
