"""How much tracking a readiness run may do, counted beforehand, so that its time is known before it begins.

A clip of ten seconds (250 frames) has to be done in six minutes on two cores with the compact model. Where a frame
takes 50 ms, that is 7,200 frames; `Budget.frames` counts the worst case, and stays below 5,000, which leaves a third of
the time to reading, transforming, comparing and the page. Where a frame takes four times as long, `QUICK` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from maskscope.readiness.conditions import AXES


@dataclass(frozen=True)
class Budget:
    """Numbers that decide the time.

    Attributes:
        window_frames: of each of the two windows that a sweep tracks.
        bisections: levels that are tried after the hardest.
        play_frames: that a clip is played on, back and forth, beyond its own end.
        lead_frames: before an occlusion, for the memory to fill.
        return_frames: that an object has to be found again.
        lengths_frames: of occlusions; a tracker is forked at each.
        occlusion_moments: at which they begin.
        policies: that are compared.
    """

    window_frames: int = 36
    bisections: int = 4
    play_frames: int = 150
    lead_frames: int = 10
    return_frames: int = 6
    lengths_frames: tuple[int, ...] = (2, 4, 8, 16, 32)
    occlusion_moments: int = 2
    policies: int = 2

    def windows(self, num_frames: int) -> tuple[range, ...]:
        """Stretches that sweeps track: from the prompt on, and of a longer clip one in its second half."""
        if num_frames <= 3 * self.window_frames:
            return (range(min(num_frames, 2 * self.window_frames)),)
        begin = num_frames // 2 + (num_frames - num_frames // 2 - self.window_frames) // 2
        return range(self.window_frames), range(begin, begin + self.window_frames)

    def played(self, num_frames: int) -> int:
        """Frames of the clip played forth and back."""
        return min(2 * num_frames, num_frames + self.play_frames)

    def frames(self, num_frames: int, own_truth: bool) -> int:
        """Frames that are tracked at most.

        Args:
            num_frames: of the clip.
            own_truth: no true masks are given, so that the clip is tracked backwards, too.
        """
        window = sum(map(len, self.windows(num_frames)))
        passes = 1 + self.bisections
        sweeps = window + (len(AXES) - 1) * passes * window
        # Frames are left out: 1/16 of them remain at the hardest rate, and bisection goes from there by square roots.
        rate = round(num_frames * sum(16 ** -(0.5**step) for step in range(passes)))
        play = self.policies * self.played(num_frames)
        trial = self.lead_frames + max(self.lengths_frames) + len(self.lengths_frames) * self.return_frames
        occlusion = self.policies * 2 * self.occlusion_moments * trial
        return num_frames * (1 + own_truth) + sweeps + rate + play + occlusion


STANDARD: Final = Budget()

QUICK: Final = Budget(
    window_frames=16,
    bisections=2,
    play_frames=0,
    lengths_frames=(4, 16, 32),
    occlusion_moments=1,
)
"""Less than half of the tracking, for slow machines: limits between coarser levels, wider intervals."""

AIM_SECONDS: Final = 360.0
"""What a run should take at most."""

USUAL_SHARE: Final = 0.6
"""Of the worst case that is tracked: axes on which the object is never lost need one level, not five."""


def affordable(num_frames: int, own_truth: bool, seconds_a_frame: float) -> Budget:
    """`STANDARD` where it is likely to be done in `AIM_SECONDS`, else `QUICK`.

    Args:
        num_frames: of the clip.
        own_truth: see `Budget.frames`.
        seconds_a_frame: that tracking takes here.
    """
    return STANDARD if _usual_seconds(num_frames, own_truth, seconds_a_frame) <= AIM_SECONDS else QUICK


def told_minutes(num_frames: int, own_truth: bool, seconds_a_frame: float) -> int:
    """About how long `STANDARD` takes, minutes."""
    return round(_usual_seconds(num_frames, own_truth, seconds_a_frame) / 60)


def _usual_seconds(num_frames: int, own_truth: bool, seconds_a_frame: float) -> float:
    return USUAL_SHARE * STANDARD.frames(num_frames, own_truth) * seconds_a_frame
