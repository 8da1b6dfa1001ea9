"""How well a model follows labelled clips that it was not trained on, and which clips those are.

The first labelled frame of each object is given to the tracker as its prompt; J and F are taken on every later labelled
frame. Frames of one clip resemble each other, so intervals draw whole clips, or runs of neighbouring frames where there
are few clips.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.label_maps import VOID_LABEL, object_labels
from maskscope.errors import DatasetError
from maskscope.evaluate.boundary import boundary_f
from maskscope.evaluate.region import region_similarity
from maskscope.evaluate.statistics import Interval, difference_interval, mean_interval
from maskscope.model.sam2 import SAM2
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.training.user_data import LabelledClip

log = logging.getLogger(__name__)

FEWEST_FRAMES = 6
"""Labelled frames without which there is nothing to train on and hold out."""

SHARE_OF_CLIPS, SHARE_OF_TIME = 1 / 4, 1 / 3
CLIPS_TO_DRAW = 5
"""With fewer clips than these, intervals are drawn over runs of frames."""

RUN_FRAMES = 5
"""At most; shorter where there would be fewer than `CLIPS_TO_DRAW` runs."""


@dataclass(frozen=True)
class Split:
    """What is trained on, what is held out, and by which rule."""

    training: tuple[LabelledClip, ...]
    held_out: tuple[LabelledClip, ...]
    rule: str


def labelled(sequence: AnnotatedSequence, frames: Sequence[int]) -> LabelledClip:
    """A clip's labelled frames from the first that shows an object; such a one can be the prompt."""
    clip = LabelledClip(sequence, tuple(frames))
    first = next((n for n, frame in enumerate(frames) if object_labels(clip.labels(frame))), len(frames))
    return LabelledClip(sequence, clip.frames[first:])


def split(sequences: Sequence[AnnotatedSequence], names: Sequence[str] = (), seed: int = 0) -> Split:
    """Hold out whole clips, or of a single clip the last third.

    Args:
        sequences: all there are; those without labels are left out.
        names: clips to hold out; empty draws a quarter of those with two labelled frames or more.
        seed: of that draw.

    Raises:
        DatasetError: too few labels, no such clip, or nothing left to train on.
    """
    clips = []
    for sequence in sequences:
        clip = labelled(sequence, sequence.annotated_frames)
        if clip.frames:
            clips.append(clip)
        elif sequence.annotated_frames:
            log.warning("all masks of %s are empty; it is left out", sequence.name)
    total = sum(len(clip.frames) for clip in clips)
    if total < FEWEST_FRAMES:
        raise DatasetError(
            f"there are {total} labelled frames with an object or after one, expected {FEWEST_FRAMES} or more",
            "label about a dozen, over several clips if there are any",
        )
    scored = [clip.name for clip in clips if len(clip.frames) > 1]
    if unknown := [name for name in names if name not in scored]:
        raise DatasetError(
            f"{unknown[0]!r} cannot be held out", f"clips with two labelled frames or more: {', '.join(scored)}"
        )
    if names and len(names) < len(clips):
        return _by_clip(clips, set(names), "as asked for")
    if len(clips) > 1 and scored and not names:
        count = max(1, round(SHARE_OF_CLIPS * len(clips)))
        drawn = np.random.default_rng(seed).permutation(len(scored))[: min(count, len(clips) - 1)]
        return _by_clip(clips, {scored[i] for i in drawn}, "clips drawn at random")
    if len(clips) > 1:
        raise DatasetError("no clip is left to be trained on and another to be held out", "label more clips or frames")
    [clip] = clips
    first = len(clip.frames) - max(2, round(SHARE_OF_TIME * len(clip.frames)))
    end = labelled(clip.sequence, clip.frames[first:])
    if len(end.frames) < 2:
        raise DatasetError(f"the last third of {clip.name} shows no object that could be followed", "label more frames")
    return Split((LabelledClip(clip.sequence, clip.frames[:first]),), (end,), "the last third of the only clip")


def _by_clip(clips: Sequence[LabelledClip], names: set[str], rule: str) -> Split:
    return Split(
        tuple(clip for clip in clips if clip.name not in names), tuple(c for c in clips if c.name in names), rule
    )


def score_clip(model: SAM2, clip: LabelledClip, tick: Callable[[], None] = lambda: None) -> NDArray[np.float64]:
    """J&F of each labelled frame after the prompted one, mean over its objects, `(n,)` in 0..1.

    Args:
        model: in evaluation mode.
        clip: its first labelled frame shows an object.
        tick: called after every frame.
    """
    tracker = Tracker(model, options=SessionOptions(non_overlapping=True))
    known: list[int] = []
    scores = []
    for number in range(clip.frames[0], clip.frames[-1] + 1):
        labels = clip.labels(number) if number in clip.frames else None
        fresh = [i for i in (object_labels(labels) if labels is not None else ()) if i not in known]
        result = tracker.step(
            clip.sequence.frame(number), [Prompt(i, mask=labels == i) for i in fresh if labels is not None]
        )
        if labels is not None and known:
            found = dict(zip(result.object_ids, result.masks, strict=True))
            scores.append(np.mean([_j_and_f(found[i], labels, i) for i in known]))
        known += fresh
        tick()
    return np.array(scores)


def _j_and_f(found: NDArray[np.bool_], labels: NDArray[np.uint8], object_id: int) -> float:
    truth, void = labels == object_id, labels == VOID_LABEL
    return (float(region_similarity(found, truth, void)) + float(boundary_f(found, truth, void=void))) / 2


Scores = list[NDArray[np.float64]]
"""For each clip the scores of its frames."""


def interval(scores: Scores) -> Interval:
    """Mean over frames with its interval."""
    return mean_interval(_drawn(scores))


def change(after: Scores, before: Scores) -> Interval:
    """Mean of the paired differences with its interval."""
    return difference_interval(_drawn(after), _drawn(before))


def _drawn(scores: Scores) -> Scores:
    """What a bootstrap draws as one: clips, or runs of frames."""
    clips = [clip for clip in scores if len(clip)]
    if len(clips) >= CLIPS_TO_DRAW:
        return clips
    length = max(1, min(RUN_FRAMES, sum(map(len, clips)) // CLIPS_TO_DRAW))
    return [clip[start : start + length] for clip in clips for start in range(0, len(clip), length)]
