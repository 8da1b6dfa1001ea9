"""Which frames to label next: those whose labels would mend most of what the model itself is unsure of.

Every frame has a risk in 0..1 from the signs of `maskscope.studies.signs`. A label mends its neighbours, too, the more
the nearer, so each choice takes the frame around which most risk lies that no earlier label has taken away. That keeps
choices apart in time, and looks for long failures rather than for single frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import SettingError
from maskscope.studies.signs import ClipSigns

MOST_STRANGE = 0.5
"""Distance of looks that counts as wholly strange."""


@dataclass(frozen=True)
class SignWeights:
    """How much each sign counts; the risk is their weighted mean.

    Predicted IoU tells errors best. The way back begins with the far end's own mask, so where that is wrong the two
    passes disagree near the label, where the way out is right, and agree at the end, where it is not: it counts little.
    """

    absence: float = 1.0
    doubt: float = 2.0
    disagreement: float = 0.25
    strangeness: float = 0.5

    def of(self, values: Signs) -> NDArray[np.float64]:
        """The risk of each frame."""
        total = self.absence + self.doubt + self.disagreement + self.strangeness
        parts = (
            self.absence * values.absence,
            self.doubt * values.doubt,
            self.disagreement * values.disagreement,
            self.strangeness * values.strangeness,
        )
        risk: NDArray[np.float64] = sum(parts, np.zeros(len(values.absence))) / total
        return risk


@dataclass(frozen=True)
class Signs:
    """The signs of one object, `(n_frames,)` in 0..1 each."""

    absence: NDArray[np.float64]
    doubt: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    strangeness: NDArray[np.float64]


@dataclass(frozen=True)
class Suggestion:
    """A frame to label.

    Attributes:
        clip: its name.
        frame: its number.
        object_id: the object that is most at risk there.
        risk: of the frame, 0..1.
        reasons: what the model shows there, strongest first, in words.
    """

    clip: str
    frame: int
    object_id: int
    risk: float
    reasons: tuple[str, ...]


def label_next(clips: Sequence[ClipSigns], count: int, weights: SignWeights | None = None) -> list[Suggestion]:
    """The frames to label, the most useful first; fewer where fewer are left.

    Args:
        clips: with the signs of all frames.
        count: how many are wanted.
        weights: of the signs.

    Raises:
        SettingError: a count below one, or no frame without a label.
    """
    if count < 1:
        raise SettingError(f"{count} frames are wanted", "ask for one or more")
    boards = [_Board(clip, count, weights or SignWeights()) for clip in clips]
    chosen: list[Suggestion] = []
    while len(chosen) < count:
        best = max(boards, key=lambda board: board.best_gain, default=None)
        if best is None or best.best_gain < 0:
            break
        chosen.append(best.take())
    if not chosen:
        raise SettingError("every frame is labelled", "give clips with frames that are not")
    return chosen


class _Board:
    """One clip while frames of it are chosen."""

    def __init__(self, clip: ClipSigns, count: int, weights: SignWeights) -> None:
        self.clip, self.weights = clip, weights
        self.known = list(clip.labelled)
        # As far as labels would lie apart if they were spread evenly.
        self.reach = clip.num_frames / (count + len(clip.labelled))
        self.open = np.ones(clip.num_frames)  # share of the risk that no label has taken away
        self.free = np.ones(clip.num_frames, np.bool_)
        for frame in clip.labelled:
            self._cover(frame)
        self._refresh()

    @property
    def best_gain(self) -> float:
        """Risk that the best frame would take away; below 0 where none is left."""
        return float(self.gains.max())

    def take(self) -> Suggestion:
        """Choose the best frame."""
        frame = int(self.gains.argmax())
        object_id = max(self.signs, key=lambda i: float(self.risks[i][frame]))
        suggestion = Suggestion(
            self.clip.name,
            frame,
            object_id,
            float(self.risks[object_id][frame]),
            _reasons(self.signs[object_id], frame, self.weights),
        )
        self.known.append(frame)
        self._cover(frame)
        self._refresh()
        return suggestion

    def _near(self, frame: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much of other frames' risk a label of `frame` takes away: all of its own, none beyond reach."""
        return (1 - np.abs(others - frame) / self.reach).clip(0, 1)

    def _around(self, frame: int) -> NDArray[np.int64]:
        far = int(self.reach) + 1
        return np.arange(max(0, frame - far), min(self.clip.num_frames, frame + far + 1))

    def _cover(self, frame: int) -> None:
        around = self._around(frame)
        self.open[around] = np.minimum(self.open[around], 1 - self._near(frame, around))
        self.free[frame] = False

    def _gain(self, frame: int, risk: NDArray[np.float64]) -> float:
        """Risk that a label of `frame` takes away beyond what earlier ones have."""
        around = self._around(frame)
        return float((risk[around] * (self._near(frame, around) + self.open[around] - 1).clip(0)).sum())

    def _refresh(self) -> None:
        """Risks and gains with what is known now: what looked strange may do so no more."""
        self.signs = {
            i: Signs(o.absence, o.doubt, o.disagreement, (o.strangeness(self.known) / MOST_STRANGE).clip(0, 1))
            for i, o in self.clip.objects.items()
        }
        self.risks = {i: self.weights.of(signs) for i, signs in self.signs.items()}
        risk = np.max(list(self.risks.values()), axis=0)
        gains = np.array([self._gain(frame, risk) for frame in range(self.clip.num_frames)])
        # Where nothing is at risk the frames farthest from labels are as good as any.
        self.gains = np.where(self.free, gains + 1e-6 * self.open, -1.0)


def _reasons(signs: Signs, frame: int, weights: SignWeights) -> tuple[str, ...]:
    """What stands out on a frame, the heaviest sign first."""
    said = [
        (weights.disagreement, signs.disagreement, "forwards and backwards disagree (IoU {:.2f})", True),
        (weights.absence, signs.absence, "seen with a probability of {:.2f} only", True),
        (weights.doubt, signs.doubt, "predicted IoU {:.2f}", True),
        (weights.strangeness, signs.strangeness, "looks unlike labelled frames ({:.2f})", False),
    ]
    weighed = sorted(((weight * float(v[frame]), v, text, flip) for weight, v, text, flip in said), key=lambda s: -s[0])
    told = [
        text.format(1 - float(v[frame]) if flip else float(v[frame]))
        for _, v, text, flip in weighed
        if float(v[frame]) > max(0.1, float(np.median(v)))
    ]
    return tuple(told[:2]) or ("far from labelled frames",)
