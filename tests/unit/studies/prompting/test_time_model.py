"""The published time model, on the numbers that its paper gives."""

from __future__ import annotations

import pytest

from maskscope.errors import SettingError
from maskscope.studies.prompting.time_model import TimeModel


def test_three_hundred_frames_and_eight_interactions_take_what_the_protocol_says() -> None:
    # (30 + 1 + 4.5) * 8 and 30 + 5.5 * 8
    assert TimeModel().offline(300, clicks=3, rounds=8) == pytest.approx(284)
    assert TimeModel().online(300, clicks=3, prompted=8) == pytest.approx(74)


@pytest.mark.parametrize(
    ("kind", "clicks", "seconds"), [("clicks", 1, 2.5), ("clicks", 5, 8.5), ("box", 0, 7.0), ("mask", 0, 37.8)]
)
def test_a_prompt_takes_the_sum_of_its_acts(kind, clicks, seconds) -> None:  # type: ignore[no-untyped-def]
    assert TimeModel().prompt(kind, clicks) == pytest.approx(seconds)


def test_negative_times_are_refused() -> None:
    with pytest.raises(SettingError, match="0 seconds or more"):
        TimeModel(click_s=-1)
