"""A session over shared image features, in which each trial is an object of its own: all are tracked as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.memory.policies import registry
from maskscope.model.mask_decoder import upsample_logits
from maskscope.studies.prompting.footage import Footage
from maskscope.tracking.observer import Observer
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import Session, SessionOptions

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the model says of an object on a frame.

    Attributes:
        mask: (H, W) bool.
        object_score_logit: above 0 is visible.
        predicted_iou: 0..1.
    """

    mask: Mask
    object_score_logit: float
    predicted_iou: float


class Following:
    """Prompts and frames of one passage through a clip.

    A frame that is corrected counts as prompted: it is kept and read for ever, as in SAM 2's training.

    Args:
        footage: the clip.
        policy: of memory.
        keep_all: forget nothing, so that any frame can be corrected.
        observers: told of every stage.
    """

    def __init__(
        self, footage: Footage, policy: str, *, keep_all: bool = False, observers: Sequence[Observer] = ()
    ) -> None:
        options = SessionOptions(num_frames=footage.num_frames, corrections_are_prompts=True, keep_all=keep_all)
        factory = registry.policy(policy)
        self.footage = footage
        self.session = Session(footage.model, factory, footage.size, footage.input_size, options, observers)

    @torch.inference_mode()
    def prompt(self, t: int, prompts: Sequence[Prompt]) -> dict[int, Answer]:
        """Answers to prompts on a frame, which enter memory when tracking goes on.

        A frame that was tracked is corrected from its mask; on any other an object starts afresh.
        """
        return _answers(self.session.prompt(t, self.footage.features(t), prompts)) if prompts else {}

    @torch.inference_mode()
    def advance(self, t: int) -> dict[int, Answer]:
        """Let what was said enter memory, and answer for every object on a frame."""
        self.session.commit(self.footage.features)
        return _answers(self.session.advance(t, self.footage.features))

    @torch.inference_mode()
    def ask(self, t: int, prompt: Prompt, observer: Observer | None = None) -> Answer:
        """What a prompt would give on a frame; nothing of it stays."""
        track = self.session.tracks.get(prompt.object_id)
        before = None if track is None else (dict(track.pending), dict(track.clicks))
        with _listening(self.session, observer):
            answer = self.prompt(t, [prompt])[prompt.object_id]
        if track is None or before is None:
            self.session.remove(prompt.object_id)
        else:
            track.pending, track.clicks = before
        return answer

    @torch.inference_mode()
    def shown(self, t: int, object_id: int) -> Mask:
        """(H, W) bool, what was last found of an object on a frame that is still in memory; else nothing."""
        found = self.session.known(object_id, t)
        if found is None:
            return np.zeros(self.footage.size, bool)
        mask: Mask = (upsample_logits(found.mask_logits_hw[None, None], self.footage.size)[0, 0] > 0).cpu().numpy()
        return mask


def _answers(result: FrameResult) -> dict[int, Answer]:
    objects: Mapping[int, Mask] = dict(zip(result.object_ids, result.masks, strict=True))
    return {
        i: Answer(mask, float(result.objects[i].object_score_logit), float(result.objects[i].predicted_iou))
        for i, mask in objects.items()
    }


@contextmanager
def _listening(session: Session, observer: Observer | None) -> Iterator[None]:
    """Only this observer is told, for a while."""
    before = session.observers
    session.observers = [] if observer is None else [observer]
    try:
        yield
    finally:
        session.observers = before
