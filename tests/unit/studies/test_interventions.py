"""What an intervention is told of frames, and what is said of losses that no activation can undo."""

from __future__ import annotations

import numpy as np

from maskscope.observe.blame import LOST_BY_BOTH, NOT_SHOWN
from maskscope.observe.losses import Loss
from maskscope.studies.interventions import Shown, nobody
from maskscope.transforms.base import ClipFrame


class Occluded:
    """Object 1 has the left half, object 2 the right; on frame 1 something drawn hides the lower half of all."""

    def __init__(self) -> None:
        self.drawn = 0

    def at(self, t: int) -> ClipFrame:
        self.drawn += 1
        amodal = np.repeat(np.array([[1, 1, 2, 2]], np.uint8), 4, axis=0)
        visible = amodal.copy()
        if t == 1:
            visible[2:] = 0
        return ClipFrame(np.zeros((4, 4, 3), np.uint8), visible, amodal, source_time=float(t))


def test_what_is_hidden_is_what_something_drawn_covers_of_that_object() -> None:
    clip = Occluded()
    shown = Shown(clip)  # type: ignore[arg-type]
    assert not shown.hidden_of(1)(0)[1].any()
    hidden, truth = shown.hidden_of(1)(1)[1], shown.truth_of(1)(1)[1]
    assert np.argwhere(hidden).tolist() == [[2, 0], [2, 1], [3, 0], [3, 1]]
    assert np.argwhere(truth).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert shown.counterpart(1).frame == 1
    assert clip.drawn == 2, "each frame is drawn once for all who ask for it"


def test_a_loss_that_the_clean_run_has_is_told_from_one_it_does_not_show() -> None:
    there, foreign = Loss(1, "lost", (3, 4)), Loss(1, "false alarm", (7, 8))
    moments = {t: t for t in range(6)}
    assert [one.reason for one in nobody([there, foreign], moments)] == [LOST_BY_BOTH, NOT_SHOWN]
    assert [one.reason for one in nobody([there, foreign])] == [LOST_BY_BOTH] * 2
    assert all(one.stage is None for one in nobody([there, foreign], moments))
