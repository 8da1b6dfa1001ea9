"""A tracked clip of a small random model, with and without a listener: what all tests of listeners share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from maskscope.model import SAM2
from maskscope.observe.measures.passages import Listener
from maskscope.observe.probe import Masks, attached
from maskscope.tracking.observer import Observer
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker
from random_models import SIZE, moving_square, random_model, small_config, square_mask

FRAMES = 4
OBJECTS = (1, 2)


def model_with(appearance: int = 0) -> SAM2:
    """Of random weights; some models keep appearance keys beside their memories."""
    config = small_config()
    memory = dataclasses.replace(config.memory, appearance_dim=appearance)
    return random_model(dataclasses.replace(config, memory=memory))


def truth(frame: int) -> Masks:
    """The moving square and its mirror image."""
    mask = square_mask(frame)
    return {1: mask, 2: np.ascontiguousarray(mask[::-1])}


def track(model: SAM2, observers: list[Observer], policy: str = "stock", frames: int = FRAMES) -> list[FrameResult]:
    """Two objects, one given by a mask and one by a box."""
    tracker = Tracker(model, policy=policy)
    left, top, right, bottom = SIZE // 4, SIZE // 2, SIZE // 2, 3 * SIZE // 4
    prompts = [Prompt(1, mask=truth(0)[1]), Prompt(2, box_xyxy_px=(left, top, right, bottom))]
    with attached(tracker, *observers):
        return [tracker.step(frame, prompts if t == 0 else ()) for t, frame in enumerate(moving_square(frames))]


def logits(results: list[FrameResult]) -> list[npt.NDArray[np.float32]]:
    return [result.mask_logits_nhw.numpy() for result in results]


def hooks_of(model: SAM2) -> int:
    """How many are in place anywhere."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


class Broken(Exception):
    pass


def check_only_listens(model: SAM2, make: Callable[[SAM2], Listener]) -> None:
    """Masks are bit-identical with it; nothing is left of it, also after an exception."""
    plain = logits(track(model, []))
    listener = make(model)
    with listener:
        heard = logits(track(model, [listener]))
    assert all(np.array_equal(a, b) for a, b in zip(plain, heard, strict=True))
    assert listener.readings
    assert hooks_of(model) == 0

    def breaks(observation: object) -> None:
        raise Broken

    again = make(model)
    try:
        with again:
            assert hooks_of(model) > 0
            track(model, [again, breaks])
    except Broken:
        pass
    else:
        raise AssertionError("the observer was not asked")
    assert hooks_of(model) == 0
    assert all(np.array_equal(a, b) for a, b in zip(plain, logits(track(model, [])), strict=True))
