"""How much a readiness run may do follows from how fast the machine is."""

from maskscope.readiness.budget import AIM_SECONDS, QUICK, STANDARD, USUAL_SHARE, affordable, told_minutes


def test_a_ten_second_clip_is_done_in_six_minutes_where_a_frame_takes_fifty_milliseconds() -> None:
    assert STANDARD.frames(250, own_truth=True) * 0.05 < AIM_SECONDS
    assert affordable(250, True, 0.05) == STANDARD


def test_a_slow_machine_tracks_half() -> None:
    usual = USUAL_SHARE * STANDARD.frames(250, own_truth=True)
    assert affordable(250, True, 0.99 * AIM_SECONDS / usual) == STANDARD
    assert affordable(250, True, 1.01 * AIM_SECONDS / usual) == QUICK
    assert told_minutes(250, True, 1.01 * AIM_SECONDS / usual) == 6
    assert QUICK.frames(250, own_truth=True) < STANDARD.frames(250, own_truth=True) / 2


def test_a_short_clip_is_measured_in_full_where_a_long_one_is_not() -> None:
    assert affordable(30, True, 0.2) == STANDARD
    assert affordable(300, True, 0.2) == QUICK
