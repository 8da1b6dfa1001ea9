"""A whole video: prompts and corrections on any frame, propagation in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import torch

from maskscope.errors import PromptError
from maskscope.memory.policies import policy_factory
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.tracking.observer import Observer
from maskscope.tracking.picture import RgbFrame, frame_tensor, input_size
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import Session, SessionOptions


class FrameSequence(Protocol):
    """Frames by position: a list of arrays, a folder, a file that can seek."""

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def __getitem__(self, index: int, /) -> RgbFrame:
        """Frame `index`, (H, W, 3) uint8."""
        ...


class VideoTracker:
    """Follow objects through a video whose frames can be had in any order.

    By default it keeps what another propagation from a prompted frame may read and forgets the rest;
    `SessionOptions(keep_all=True)` keeps everything, so that any tracked frame can be corrected.
    """

    def __init__(
        self,
        model: SAM2,
        frames: FrameSequence,
        policy: str = "stock",
        options: SessionOptions | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        if len(frames) == 0:
            raise PromptError("the video has no frames", "give at least one")
        height, width = frames[0].shape[:2]
        self.model, self.frames = model, frames
        options = replace(options or SessionOptions(), num_frames=len(frames))
        size = (height, width)
        self.session = Session(model, policy_factory(policy), size, input_size(model.config, *size), options, observers)
        self._cached: tuple[int, ImageFeatures] | None = None

    @torch.inference_mode()
    def prompt(self, frame_index: int, prompts: Sequence[Prompt]) -> FrameResult:
        """Prompt or correct objects on a frame and see the answer at once.

        Raises:
            PromptError: no such frame, or a prompt that cannot mean an object on it.
        """
        self._check(frame_index)
        return self.session.prompt(frame_index, self._features(frame_index), prompts)

    @torch.inference_mode()
    def propagate(
        self, start: int | None = None, *, reverse: bool = False, max_frames: int | None = None
    ) -> Iterator[FrameResult]:
        """Track all objects from `start` (the first prompted frame, or the last when backwards) to the video's end.

        Args:
            start: first frame of the result.
            reverse: towards the beginning.
            max_frames: at most so many frames after `start`.

        Raises:
            PromptError: nothing has been prompted, or no such frame.
        """
        prompted = self.session.prompted_frames()
        if not prompted:
            raise PromptError("no object has been prompted", "call prompt first")
        first = start if start is not None else (prompted[-1] if reverse else prompted[0])
        self._check(first)
        last = 0 if reverse else len(self.frames) - 1
        if max_frames is not None:
            last = max(last, first - max_frames) if reverse else min(last, first + max_frames)
        self.session.commit(self._features)
        for index in range(first, last - 1, -1) if reverse else range(first, last + 1):
            yield self.session.advance(index, self._features(index), reverse, pivots=prompted)

    def remove(self, object_id: int) -> None:
        """Forget an object."""
        self.session.remove(object_id)

    def _check(self, frame_index: int) -> None:
        if not 0 <= frame_index < len(self.frames):
            raise PromptError(
                f"frame {frame_index} is not in the video",
                f"it has {len(self.frames)} frames, 0 to {len(self.frames) - 1}",
            )

    def _features(self, frame_index: int) -> ImageFeatures:
        """Of one frame; the latest is kept."""
        if self._cached is None or self._cached[0] != frame_index:
            pixels = frame_tensor(
                self.frames[frame_index], self.session.input_size, self.model.device, self.model.fine_dtype
            )
            self._cached = (frame_index, self.model.encode_image(pixels))
        return self._cached[1]
