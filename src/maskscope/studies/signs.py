"""What the model itself shows of how well it follows an object, frame by frame, without knowing the truth.

A clip is gone through twice: away from its labels, which gives the masks, and back towards them from the far end, whose
own mask is the prompt there. Where the two disagree, at least one is wrong. On the way four signs are noted: the object
score, the predicted IoU, the disagreement, and what the object looks like in the image embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from maskscope.errors import PromptError
from maskscope.evaluate.region import region_similarity
from maskscope.model.sam2 import SAM2
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import FrameSequence

Prompts = Mapping[int, Sequence[Prompt]]
"""Frame -> what was said of objects on it."""


@dataclass(frozen=True)
class ObjectSigns:
    """One object on all frames of a clip; fractions in 0..1.

    Attributes:
        absence: how far the object score says that it is not seen.
        doubt: 1 less the predicted IoU.
        disagreement: 1 less the IoU of the two passes; 0 where there is only one.
        looks: (n_frames, c) unit vectors, mean embedding inside the mask; zero without a mask.
    """

    absence: NDArray[np.float64]
    doubt: NDArray[np.float64]
    disagreement: NDArray[np.float64]
    looks: NDArray[np.float32]

    def strangeness(self, known: Iterable[int]) -> NDArray[np.float64]:
        """Distance of each frame's look to the nearest of the frames `known`, `(n_frames,)`, 0 without a mask."""
        there = [frame for frame in known if self.looks[frame].any()]
        if not there:
            return np.zeros(len(self.looks))
        nearest = (self.looks @ self.looks[there].T).max(axis=1)
        return np.where(self.looks.any(axis=1), (1 - nearest).clip(0, 1), 0.0)


@dataclass(frozen=True)
class ClipSigns:
    """All objects of a clip, by their number, and which frames are labelled."""

    name: str
    num_frames: int
    labelled: tuple[int, ...]
    objects: dict[int, ObjectSigns]


def clip_signs(
    model: SAM2,
    name: str,
    frames: FrameSequence,
    prompts: Prompts,
    labelled: Iterable[int] = (),
    tick: Callable[[], object] = lambda: None,
) -> ClipSigns:
    """Follow a clip's objects both ways and note the signs.

    Args:
        model: in evaluation mode.
        name: what tables call the clip.
        frames: `(H, W, 3)` uint8 by number.
        prompts: at least one.
        labelled: frames that are labelled beside those, such as frames labelled as empty.
        tick: called after every frame of either pass, about `2 * len(frames)` times.

    Raises:
        PromptError: no prompt, or one that cannot mean an object.
    """
    if not any(prompts.values()):
        raise PromptError(f"no object of {name} is labelled", "label it on one frame to begin with")
    first, end = min(prompts), len(frames)
    out = _Pass(model, frames, tick)
    out.run(range(first, end), prompts)
    back_to_start = _Pass(model, frames, tick)
    back_to_start.run(range(first, -1, -1), prompts)
    found = {**back_to_start.seen, **out.seen}
    check = _Pass(model, frames, tick)
    ids = sorted({prompt.object_id for said in prompts.values() for prompt in said})
    last = max(prompts)
    all_there = {prompt.object_id for prompt in prompts[last]} == set(ids)
    check.run(range(end - 1, first, -1), _with_ends(prompts, out), fresh_at=last if all_there else None)
    if first:
        check.run(range(first), _with_ends({}, back_to_start))
    objects = {i: _signs_of(i, [found[t] for t in range(end)], check.seen) for i in ids}
    return ClipSigns(name, end, tuple(sorted({*prompts, *labelled})), objects)


@dataclass(frozen=True)
class _Seen:
    """One object on one frame of one pass."""

    mask_hw: NDArray[np.bool_]  # at a quarter of the model's input
    object_score_logit: float
    predicted_iou: float
    look: NDArray[np.float32]


@dataclass
class _Pass:
    """Frames in some order through a streaming tracker."""

    model: SAM2
    frames: FrameSequence
    tick: Callable[[], object]
    seen: dict[int, dict[int, _Seen]] = field(default_factory=dict)  # frame -> object
    ends: dict[int, tuple[int, FrameResult]] = field(default_factory=dict)  # object -> last frame with a mask
    _embedding: Tensor | None = None

    def run(self, order: Iterable[int], prompts: Prompts, fresh_at: int | None = None) -> None:
        """Track in this order; at `fresh_at` whatever was found before is forgotten, for there the truth begins."""
        tracker = Tracker(self.model, observers=[self._observe])
        for number in order:
            if number == fresh_at:
                tracker = Tracker(self.model, observers=[self._observe])
            result = tracker.step(self.frames[number], prompts.get(number, ()))
            self._note(number, result)
            self.tick()

    def _observe(self, observation: Observation) -> None:
        if observation.stage == "image_embedding":
            self._embedding = observation.output

    def _note(self, number: int, result: FrameResult) -> None:
        here = {}
        for object_id, masks in result.objects.items():
            inside = masks.mask_logits_hw > 0
            here[object_id] = _Seen(
                inside.cpu().numpy(), masks.object_score_logit, masks.predicted_iou, self._look(inside)
            )
            if inside.any():
                self.ends[object_id] = (number, result)
        self.seen[number] = here

    def _look(self, inside_hw: Tensor) -> NDArray[np.float32]:
        """Unit mean of the embedding inside a mask; zero for an empty one."""
        assert self._embedding is not None, "objects were tracked without an image"
        embedding = self._embedding[0].float()
        weights = F.adaptive_avg_pool2d(inside_hw.float()[None, None], (embedding.shape[-2], embedding.shape[-1]))[0, 0]
        look: NDArray[np.float32] = F.normalize((embedding * weights).sum((-1, -2)), dim=0).cpu().numpy()
        return look


def _with_ends(prompts: Prompts, found: _Pass) -> dict[int, list[Prompt]]:
    """The prompts, and each object's last mask of a pass where nothing was said of it there."""
    said = {frame: list(given) for frame, given in prompts.items()}
    for object_id, (frame, result) in found.ends.items():
        mask = result.masks[result.object_ids.index(object_id)]
        if mask.any() and object_id not in [prompt.object_id for prompt in said.get(frame, ())]:
            said.setdefault(frame, []).append(Prompt(object_id, mask=mask))
    return said


def _signs_of(object_id: int, found: Sequence[dict[int, _Seen]], checked: dict[int, dict[int, _Seen]]) -> ObjectSigns:
    """Frames on which the object is not known yet show nothing."""
    rows = [frame.get(object_id) for frame in found]
    width = next(len(row.look) for row in rows if row is not None)
    logits = torch.tensor([8.0 if row is None else row.object_score_logit for row in rows], dtype=torch.float64)
    return ObjectSigns(
        absence=1 - logits.sigmoid().numpy(),
        doubt=np.array([0.0 if row is None else 1 - row.predicted_iou for row in rows]).clip(0, 1),
        disagreement=np.array(
            [
                0.0 if row is None or other is None else 1 - float(region_similarity(row.mask_hw, other.mask_hw))
                for row, other in zip(rows, (checked.get(t, {}).get(object_id) for t in range(len(rows))), strict=True)
            ]
        ),
        looks=np.stack([np.zeros(width, np.float32) if row is None else row.look for row in rows]),
    )
