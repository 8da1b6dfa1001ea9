"""Trials on a frame: prompts are made from the truth, given in rounds, and each round sees the answer to the last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maskscope.studies.prompting.clicks import (
    Click,
    box_of,
    click_in,
    deepest,
    next_click,
    scaled_box,
    shifted_box,
    shifted_click,
    wrong_box,
)
from maskscope.studies.prompting.following import Answer, Following
from maskscope.studies.prompting.footage import Footage
from maskscope.studies.prompting.trials import Trial, direction
from maskscope.tracking.prompts import POSITIVE, Prompt

Mask = NDArray[np.bool_]

_APART_PX = 2.0  # a click on the background keeps so far from any object


@dataclass(slots=True, eq=False)
class Said:
    """What a trial said on a frame.

    Attributes:
        answer: to the last round; None where the trial cannot be done there.
        clicks: that were given on the frame.
        missing: why it cannot be done; empty otherwise.
    """

    answer: Answer | None = None
    clicks: list[Click] = field(default_factory=list)
    missing: str = ""


def say(
    following: Following,
    t: int,
    trials: Mapping[int, Trial],
    *,
    correct: bool = False,
    earlier: Mapping[int, list[Click]] | None = None,
) -> dict[int, Said]:
    """Give the prompts of trials on a frame that shows the object.

    Args:
        following: whose objects the trials are.
        t: the frame.
        trials: by object id.
        correct: start from what is found there already, so that the first click, too, goes into an error; without,
            objects start afresh.
        earlier: clicks that were given on this frame before, by object id; new ones are added to them.
    """
    footage = following.footage
    truth, known = footage.truth(t), footage.known(t)
    said = {i: Said(clicks=[] if earlier is None else earlier[i]) for i in trials}
    rngs = {i: np.random.default_rng([trial.seed, t, len(said[i].clicks)]) for i, trial in trials.items()}
    rounds = max((max(trial.clicks, 1) for trial in trials.values()), default=0)
    for number in range(rounds):
        prompts: list[Prompt] = []
        for i, trial in trials.items():
            if said[i].missing or number >= max(trial.clicks, 1):
                continue
            if number == 0 and not correct:
                prompt = _opening(footage, t, trial, rngs[i], i)
                if isinstance(prompt, str):
                    said[i].missing = prompt
                    continue
                said[i].clicks += [
                    Click(x, y, label) for (x, y), label in zip(prompt.points_xy_px, prompt.labels, strict=True)
                ]
            else:
                answer = said[i].answer
                found = following.shown(t, i) if answer is None else answer.mask
                rng = rngs[i] if trial.placement == "human" else None
                signs = trial.signs if number or correct else "either"
                click = next_click(truth, found, rng, signs, known, tuple(said[i].clicks))
                if click is None:
                    continue
                prompt = Prompt(i, [(click.x, click.y)], [click.label], keep_earlier=True)
                said[i].clicks.append(click)
            prompts.append(prompt)
        for i, answer in following.prompt(t, prompts).items():
            if i in trials and any(prompt.object_id == i for prompt in prompts):
                said[i].answer = answer
    return said


def _opening(footage: Footage, t: int, trial: Trial, rng: np.random.Generator, object_id: int) -> Prompt | str:
    """The first prompt of a trial on a frame, or why there is none."""
    if trial.wrong is not None:
        return _wrong(footage, t, trial, rng, object_id)
    truth = footage.truth(t)
    if trial.kind == "mask":
        return Prompt(object_id, mask=truth)
    box = box_of(truth)
    if trial.kind == "box":
        if trial.change == "shift":
            box = shifted_box(box, trial.share, direction(trial.seed), footage.size)
        elif trial.change is not None:
            factor = 1 + trial.share if trial.change == "grow" else 1 - trial.share
            box = scaled_box(box, factor, footage.size)
        return Prompt(object_id, box_xyxy_px=box)
    x, y = click_in(truth, rng if trial.placement == "human" else None)
    click = Click(float(x), float(y), POSITIVE)
    if trial.change == "shift":
        click = shifted_click(click, box, trial.share, direction(trial.seed), footage.size)
    return Prompt(object_id, [(click.x, click.y)], [click.label])


def _wrong(footage: Footage, t: int, trial: Trial, rng: np.random.Generator, object_id: int) -> Prompt | str:
    labels, truth = footage.labels(t), footage.truth(t)
    taken = labels != 0  # void pixels may be anything
    if trial.wrong == "background":
        if trial.kind == "box":
            box = wrong_box(box_of(truth), taken, rng)
            return "no room on the background" if box is None else Prompt(object_id, box_xyxy_px=box)
        x, y, radius = deepest(~taken)
        if radius < _APART_PX:
            return "no room on the background"
        return Prompt(object_id, [(float(x), float(y))], [POSITIVE])
    neighbour = _largest_other(labels, footage.object_id)
    if neighbour is None:
        return "no neighbour in the masks"
    if trial.kind == "mask":
        return Prompt(object_id, mask=neighbour)
    x, y = click_in(neighbour)
    return Prompt(object_id, [(float(x), float(y))], [POSITIVE])


def _largest_other(labels: NDArray[np.uint8], object_id: int) -> Mask | None:
    """(H, W) bool of the largest other object; None where there is none of a few pixels."""
    counts = np.bincount(labels.ravel(), minlength=256)
    counts[[0, object_id, 255]] = 0
    largest = int(counts.argmax())
    return np.asarray(labels == largest) if counts[largest] >= 16 else None
