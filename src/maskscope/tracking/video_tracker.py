"""A whole video: prompts and corrections on any frame, propagation in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import torch

from maskscope.errors import PromptError, VideoError
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.tracking.observer import Observer
from maskscope.tracking.picture import RgbFrame, input_size, model_input
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import Session, SessionOptions


class FrameSequence(Protocol):
    """Frames by position: a list of arrays, or what `maskscope.open_video` gives for a file or folder."""

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def __getitem__(self, index: int, /) -> RgbFrame:
        """Frame `index`, (H, W, 3) uint8."""
        ...


class VideoTracker:
    """Follow objects through a video whose frames can be had in any order.

    As in the reference nothing is forgotten by default, so any frame can be corrected and memory grows by about 0.75 MB
    a frame and object at 1024 x 1024. With `SessionOptions(keep_all=False)` it stays bounded: only what another
    propagation from a prompted frame may read is kept, and tracked frames cannot be corrected later.

    Args:
        model: from `maskscope.load_model`.
        frames: a list of (H, W, 3) uint8 arrays, or an opened file or folder.
        policy: memory policy, NAME or NAME:key=value,... as in "gated:warm_up=8"; see `maskscope policies`.
        options: see `SessionOptions`; `num_frames` is set here.
        observers: called with every stage's output.

    Raises:
        VideoError: there are no frames.
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
            raise VideoError("the video has no frames", "give at least one")
        height, width = frames[0].shape[:2]
        self.model, self.frames = model, frames
        options = replace(options or SessionOptions(keep_all=True), num_frames=len(frames))
        size = (height, width)
        factory = registry.policy(policy)
        self.session = Session(model, factory, size, input_size(model.config, *size), options, observers)
        self._cached: tuple[int, ImageFeatures] | None = None
        self._reached: set[int] = set()  # tracked at some time; only kept where memory is not

    @torch.inference_mode()
    def prompt(self, frame_index: int, prompts: Sequence[Prompt]) -> FrameResult:
        """Prompt or correct objects on a frame and see the answer at once; they enter memory when tracking goes on.

        Raises:
            PromptError: no such frame, a prompt that cannot mean an object on it, or a tracked frame that is forgotten.
        """
        self._check(frame_index)
        for prompt in prompts:
            known = prompt.object_id in self.session.tracks
            if known and frame_index in self._reached and self.session.known(prompt.object_id, frame_index) is None:
                raise PromptError(
                    f"frame {frame_index} has been tracked and forgotten",
                    "use SessionOptions(keep_all=True) to correct any frame",
                )
        return self.session.prompt(frame_index, self._features(frame_index), prompts)

    @torch.inference_mode()
    def propagate(
        self, start: int | None = None, *, reverse: bool = False, max_frames: int | None = None
    ) -> Iterator[FrameResult]:
        """Track all objects from `start` (the first prompted frame, or the last when backwards) to the video's end.

        Prompts given while it runs count from the next frame on.

        Args:
            start: first frame of the result; a prompted one where `keep_all` is off.
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
        keep_all = self.session.options.keep_all
        if not keep_all and first in self._reached and first not in prompted:
            raise PromptError(
                f"memory around frame {first} has been forgotten", "start at a prompted frame, or use keep_all=True"
            )
        last = 0 if reverse else len(self.frames) - 1
        if max_frames is not None:
            last = max(last, first - max_frames) if reverse else min(last, first + max_frames)
        for index in range(first, last - 1, -1) if reverse else range(first, last + 1):
            self.session.commit(self._features)
            result = self.session.advance(index, self._features, reverse, pivots=self.session.prompted_frames())
            if not keep_all:
                self._reached.add(index)
            yield result

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
            pixels = model_input(self.frames[frame_index], self.session.input_size, self.model)
            self._cached = (frame_index, self.model.encode_image(pixels))
        return self._cached[1]
