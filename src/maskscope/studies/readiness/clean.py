"""The clip as it is: the run that all others are compared with; what it says of prompt, picture and look-alikes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from maskscope.errors import PromptError, VideoError
from maskscope.evaluate.region import frame_region_similarity
from maskscope.model import SAM2
from maskscope.picture.frame import frame_measures
from maskscope.readiness.rules import BACKGROUND_AREA, BACKGROUND_BORDER
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.own_masks import SelfLabelled, labels_of, way_back
from maskscope.studies.readiness.passes import PassResult, Seen, View
from maskscope.tracking.observer import Observation
from maskscope.tracking.picture import input_size
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.transforms.base import ClipFrame, SourceClip

log = logging.getLogger(__name__)

MEASURED_FRAMES: Final = 24
"""Of the clip, on which every measure of the picture is taken."""

ELSEWHERE_IOU: Final = 0.1
_MOSTLY: Final = 0.5


@dataclass(eq=False)
class CleanRun:
    """What the clip as it is came to.

    Attributes:
        source: the clip with true masks: the given ones, or this run's own.
        given: which of the two.
        objects: their numbers.
        result: of the pass; J against its own masks is 1.
        measures: of the picture, by frame.
        lookalikes: (similarity of the object to its first look, best similarity elsewhere), by frame; cosines.
        prompt_area, prompt_border: share of the frame and of its border that the prompted masks cover.
        prompt_score: least object score at the prompt.
        predicted_iou: the model's own guesses.
        backward: J between this run and the way back, by frame and object; empty where truth is given.
    """

    source: SourceClip
    given: bool
    objects: tuple[int, ...]
    view: View
    result: PassResult = field(default_factory=lambda: PassResult(()))
    measures: dict[int, dict[str, float]] = field(default_factory=dict)
    lookalikes: dict[int, tuple[float, float]] = field(default_factory=dict)
    prompt_area: float = 0.0
    prompt_border: float = 0.0
    prompt_score: float = 0.0
    predicted_iou: list[float] = field(default_factory=list)
    backward: list[tuple[int, int, float]] = field(default_factory=list)


def clean_run(
    model: SAM2, clip: LookedAt, prompts: Sequence[Prompt], policy: str, done: Callable[[str], None]
) -> CleanRun:
    """Track the clip once, and once back where its own masks have to stand for truth.

    Args:
        model: that tracks.
        clip: that is tracked.
        prompts: on its first frame.
        policy: of memory.
        done: called after every frame with the name of the pass.

    Raises:
        PromptError: the model sees no object where one was marked, truth has none there, or it is never seen again.
        VideoError: the clip is black.
    """
    labelled = None if clip.annotated else SelfLabelled(clip)
    source = SourceClip(clip if labelled is None else labelled)
    objects = tuple(sorted({prompt.object_id for prompt in prompts}))
    run = CleanRun(source, clip.annotated, objects, View(objects, input_size(model.config, *clip.size)))
    looks = _Looks(objects)
    tracker = Tracker(model, policy, SessionOptions(num_frames=clip.num_frames), [looks.observe])
    measured = set(np.linspace(0, clip.num_frames - 1, MEASURED_FRAMES).round().astype(int).tolist())
    seen: list[Seen] = []
    for t in range(clip.num_frames):
        image = clip.frame(t)
        result = tracker.step(image, prompts if t == 0 else ())
        labels = labels_of(result)
        if labelled is not None:
            labelled.labels.append(labels)
        frame = source.at(t) if clip.annotated else ClipFrame(image, labels, labels, None, float(t))
        seen += run.view.rows(t, t, frame, result)
        run.view.look(frame, False)
        there = np.isin(frame.visible_hw, objects)
        if t == 0:
            _check_prompt(run, frame, labels, {i: m.object_score_logit for i, m in result.objects.items()})
        if t in measured:
            run.measures[t] = frame_measures(image, there, run.view.model_size)
            if (found := looks.compare(frame.visible_hw)) is not None:
                run.lookalikes[t] = found
        run.predicted_iou += result.predicted_iou.tolist()
        done("clean")
    run.result = PassResult(tuple(each for each in seen if each.frame), run.view.picture(), clip.num_frames)
    if run.view.course.black_share() > _MOSTLY:
        raise VideoError(
            f"{run.view.course.black_share():.0%} of the frames of {clip.name} are black",
            "check the camera, or give a stretch that shows something with --frame and --max-frames",
        )
    if not any(each.visible for each in run.result.seen):
        raise PromptError(
            f"no object of {clip.name} is seen on any frame behind the one it was given on",
            "mark it otherwise, or begin on another frame with --frame",
        )
    if labelled is not None:

        def tick(_: int) -> bool:
            done("back")
            return False

        readings = way_back(model, labelled, policy, objects, tick)
        run.backward = [
            (each.frame, each.object, each.value)
            for each in readings
            if each.value is not None and each.frame is not None and each.object is not None
        ]
    return run


def _check_prompt(run: CleanRun, frame: ClipFrame, labels: NDArray[np.uint8], scores: dict[int, float]) -> None:
    """Note what the prompt meant to the model; an object that is not there is an error."""
    if run.view.course.moments[0].black:
        raise VideoError("the frame on which the object is marked is black", "begin on another frame with --frame")
    run.prompt_score = min(scores.values())
    for number in run.objects:
        mask = labels == number
        if not mask.any() and scores.get(number, 0.0) <= 0:
            raise PromptError(
                f"the model sees no object where object {number} was marked (object score {scores[number]:.1f})",
                "mark the object itself: a box or a mask says more than a point",
            )
        truth = frame.visible_hw == number
        if run.given:
            overlap = frame_region_similarity(mask, truth)
            if overlap <= ELSEWHERE_IOU:
                raise PromptError(
                    f"what was marked as object {number} is not what the given masks show there "
                    f"(overlap {overlap:.2f})",
                    "mark the object that the masks call by this number, or leave the prompt out",
                )
    there = labels > 0
    border = np.concatenate((there[0], there[-1], there[:, 0], there[:, -1]))
    run.prompt_area, run.prompt_border = float(there.mean()), float(border.mean())
    if run.prompt_area > BACKGROUND_AREA or run.prompt_border > BACKGROUND_BORDER or run.prompt_score < 0:
        log.warning(
            "what was marked looks like background (%.0f %% of the frame, %.0f %% of its border, object score %.1f): "
            "better stop and mark the object with a box or a mask",
            100 * run.prompt_area, 100 * run.prompt_border, run.prompt_score,
        )  # fmt: skip


@dataclass
class _Looks:
    """How much places of the image embedding resemble the object as it was first seen."""

    objects: Sequence[int]
    _embedding: torch.Tensor | None = None
    _prototype: torch.Tensor | None = None

    def observe(self, observation: Observation) -> None:
        """Keep the latest embedding."""
        if observation.stage == "image_embedding":
            self._embedding = observation.output

    def compare(self, labels_hw: NDArray[np.uint8]) -> tuple[float, float] | None:
        """(at the object, best elsewhere): cosine with its first look, averaged over a window of the object's size.

        None where the object is not seen, or no place is clear of it.
        """
        assert self._embedding is not None, "a frame was tracked without an image"
        unit = F.normalize(self._embedding[0].float(), dim=0)
        there = np.isin(labels_hw, list(self.objects)).astype(np.float32)
        cells = cv2.resize(there, (unit.shape[2], unit.shape[1]), interpolation=cv2.INTER_AREA)
        if cells.max() <= 0:
            return None
        inside = cells >= 0.5 * float(cells.max())
        if self._prototype is None:
            chosen = torch.from_numpy(inside).to(unit.device)
            self._prototype = F.normalize(unit[:, chosen].mean(1), dim=0)
        likeness = torch.einsum("chw,c->hw", unit, self._prototype).cpu().numpy().astype(np.float32)
        side = max(1, round(float(np.sqrt(np.count_nonzero(inside)))))
        smooth = cv2.blur(likeness, (side, side), borderType=cv2.BORDER_REPLICATE)
        reach = 2 * (side // 2 + 1) + 1  # a window that touches the object is no other place
        near = cv2.dilate((cells > 0).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        if near.all():
            return None
        return float(smooth[inside].max()), float(smooth[~near].max())


def lookalike_margin(lookalikes: dict[int, tuple[float, float]]) -> float | None:
    """How much better the object resembles its first look, on its worst tenth of frames, than any other place does.

    Below 0 some place is more like it than it is itself: the measure needs no fixed threshold. The frame of the prompt
    is left out, where the object is like itself by definition.
    """
    several = [pair for frame, pair in lookalikes.items() if frame]
    if not several:
        return None
    own = float(np.quantile([pair[0] for pair in several], 0.1))
    return own - float(median(pair[1] for pair in several))
