"""The verdict of the benchmark of observation, and that its parts run; its measuring is not for a test run."""

from __future__ import annotations

import math

import numpy as np
import pytest

import observing as benchmark
from maskscope.model import SAM2
from observing import EVERY, WARM_UP, Film, Growth, Ratio, Wandering, blocks, growth, observing, patching, shortfalls
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask

WITHIN = Ratio(1.15, 1.0, 1.4)
FLAT = Growth({200: 500.0, 1000: 515.0}, {200: 1000, 1000: 5000})


@pytest.fixture(scope="module")
def model() -> SAM2:
    return tiny_model()


def film(count: int) -> Film:
    masks = [square_mask(t, SIDE, SIDE).astype(np.uint8) for t in range(count)]
    return Film(moving_square(count, SIDE, SIDE), masks)


def test_what_is_promised_does_not_fall_short() -> None:
    assert shortfalls({"compact": Ratio(1.25, 1, 2), "sam2.1-hiera-tiny": WITHIN}, Ratio(6.0, 5, 7), FLAT) == []


@pytest.mark.parametrize(
    ("slower", "passes", "grown", "said"),
    [
        ({"compact": Ratio(1.26, 1, 2)}, None, None, "observing compact takes 1.26 times"),
        ({"sam2.1-hiera-tiny": Ratio(1.16, 1, 2)}, None, None, "observing sam2.1-hiera-tiny takes 1.16 times"),
        ({"compact": Ratio(math.nan, 1, 2)}, None, None, "observing compact takes nan times"),
        ({}, Ratio(6.1, 5, 7), None, "patching five positions takes 6.10 passes"),
        ({}, None, Growth({200: 500.0, 1000: 530.0}, {200: 1000, 1000: 1000}), "30.0 MB grew beside readings"),
    ],
)
def test_each_figure_can_miss_its_target(
    slower: dict[str, Ratio], passes: Ratio | None, grown: Growth | None, said: str
) -> None:
    [line] = shortfalls(slower, passes, grown)
    assert line.startswith(said)


def test_times_are_summed_over_whole_blocks_after_the_warm_up() -> None:
    assert blocks([100.0] * WARM_UP + [1.0] * EVERY + [2.0] * EVERY + [50.0]) == [EVERY, 2 * EVERY]
    assert Ratio.of([3.0, 4.0, 10.0], [2.0, 2.0, 2.0]) == Ratio(2.0, 1.5, 5.0)


def test_both_ways_of_tracking_and_patching_run(model: SAM2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "WARM_UP", 0)
    shown = film(EVERY)
    ratio, bare_s = observing(model, shown)
    assert ratio.least == ratio.median == ratio.most > 0  # of one block
    assert bare_s > 0
    assert patching(model, shown).median > 1


def test_readings_are_counted_while_the_process_is_weighed(model: SAM2) -> None:
    found = growth(model, (2, 4))
    assert found.readings[4] > found.readings[2] > 0
    assert set(found.resident_mb) == {2, 4}


def test_the_wandering_square_has_its_mask() -> None:
    clip = Wandering(3)
    assert (clip.frame(2)[clip.masks(2) == 1] == (230, 190, 60)).all()
    assert clip.masks(2).any()
