"""One session taken over a video: forwards, backwards or both, from any frame, and on from where it was saved."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from maskscope.data.prefetch import prefetch
from maskscope.data.source import Frame, VideoSource
from maskscope.errors import CheckpointError, VideoError
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.tracking.picture import input_size, model_input
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.saving import SavedSession, save_session
from maskscope.tracking.session import Session, SessionOptions

Direction = Literal["forward", "backward", "both"]
AHEAD = 3  # frames decoded and resized while the model works
AHEAD_LIVE = 1  # what waits there is no longer the newest


@dataclass(frozen=True, slots=True)
class Pass:
    """Frames from `first` on, `count` of them (None: as many as come), backwards if `reverse`."""

    first: int
    count: int | None
    reverse: bool = False

    def after(self, frame: int) -> Pass:
        """What is left of it once `frame` is done."""
        done = abs(frame - self.first) + 1
        following = frame - 1 if self.reverse else frame + 1
        return Pass(following, None if self.count is None else self.count - done, self.reverse)

    def frames(self, source: VideoSource) -> Iterator[Frame]:
        """The frames, decoded one after the other."""
        if self.count is not None and self.count <= 0:
            return iter(())
        if source.num_frames is None:
            return self._of_stream(source)
        if self.reverse:
            assert self.count is not None
            return source.frames(self.first - self.count + 1, self.first + 1, reverse=True)
        return source.frames(self.first, None if self.count is None else self.first + self.count)

    def _of_stream(self, source: VideoSource) -> Generator[Frame]:
        """By number, as a live source may leave frames out."""
        last = None if self.count is None else self.first + self.count - 1
        for frame in source:
            if last is not None and frame.index > last:
                return
            if frame.index >= self.first:
                yield frame
            if frame.index == last:
                return  # without waiting for one more


def plan_passes(frame: int, direction: Direction, num_frames: int | None, max_frames: int | None) -> list[Pass]:
    """The passes over a video whose prompts are on `frame`; both directions: forwards first, as SAM 2's demo does.

    Args:
        frame: number of the prompted frame, within the video.
        direction: which frames are wanted.
        num_frames: length of the video; None for a stream, which only goes forwards.
        max_frames: at most so many in each direction, the prompted frame included.
    """
    onwards = num_frames - frame if num_frames is not None else None
    backwards = frame + 1
    if max_frames is not None:
        onwards = max_frames if onwards is None else min(onwards, max_frames)
        backwards = min(backwards, max_frames)
    if direction == "forward":
        return [Pass(frame, onwards)]
    if direction == "backward":
        return [Pass(frame, backwards, reverse=True)]
    return [Pass(frame, onwards), Pass(frame - 1, backwards - 1, reverse=True)]


class Traversal:
    """Drives a session over a source; memory stays bounded whatever the length.

    Args:
        model: with weights.
        source: where the frames come from.
        prompts: for `frame`.
        frame: their frame; of a live stream that leaves frames out, the first that comes from there on.
        passes: from `plan_passes`.
        policy: name of a memory policy.
        non_overlapping: give each pixel to one object.
        saved: go on from here instead of starting at `frame`.

    Attributes:
        between_frames: the session is whole; it is not after an error in the middle of a frame.
    """

    def __init__(
        self,
        model: SAM2,
        source: VideoSource,
        prompts: Sequence[Prompt],
        frame: int,
        passes: Sequence[Pass],
        policy: str = "stock",
        non_overlapping: bool = False,
        saved: SavedSession | None = None,
    ) -> None:
        self.model, self.source, self.prompts, self.frame, self.policy = model, source, prompts, frame, policy
        self.passes = list(passes)
        size = (source.height, source.width)
        options = SessionOptions(num_frames=source.num_frames, non_overlapping=non_overlapping)
        self.session = Session(model, registry.policy(policy), size, input_size(model.config, *size), options)
        self._started = saved is not None
        self._live = source.num_frames is None
        self.between_frames = True
        # A second pass starts from the prompted frame, so what it will read there must outlive the first.
        self._pivots = (frame,) if len(self.passes) > 1 else ()
        if saved is not None:
            saved.restore(self.session)
            try:
                self.passes = [Pass(**entry) for entry in saved.note["passes"]]
            except (KeyError, TypeError) as error:
                raise CheckpointError(f"{saved.path} does not say what is left to do") from error

    def steps(self) -> Generator[tuple[Frame, FrameResult], None, None]:
        """Frames and their masks; decoding and resizing run ahead in a thread.

        Everything but the frames still to come is in the session when a frame is handed out, so that `save` may be
        called between any two.
        """
        while self.passes:
            current = self.passes[0]
            pictures = ((frame, self._pixels(frame)) for frame in current.frames(self.source))
            ready = prefetch(pictures, AHEAD_LIVE if self._live else AHEAD)
            with closing(ready):
                for frame, pixels in ready:
                    self.between_frames = False
                    result = self._advance(frame.index, pixels, current.reverse)
                    self.passes[0] = current.after(frame.index)
                    self.between_frames = True
                    yield frame, result
            self.passes.pop(0)
        if not self._started:
            raise VideoError(f"{self.source.name} ended before frame {self.frame}", "give an earlier frame")

    @property
    def next_frame(self) -> int | None:
        """Number of the frame that comes next; None when nothing is left to do."""
        return next((p.first for p in self.passes if p.count is None or p.count > 0), None)

    def save(self, path: Path, note: dict[str, Any]) -> None:
        """Write the session and what is left to do, beside a note of the caller's.

        Raises:
            OutputError: it cannot be written.
        """
        left = [{"first": p.first, "count": p.count, "reverse": p.reverse} for p in self.passes]
        save_session(self.session, self.policy, path, {**note, "passes": left})

    def _pixels(self, frame: Frame) -> Tensor:
        with torch.inference_mode():
            return model_input(frame.rgb, self.session.input_size, self.model)

    @torch.inference_mode()
    def _advance(self, index: int, pixels: Tensor, reverse: bool) -> FrameResult:
        encoded: list[ImageFeatures] = []

        def features_of(_: int) -> ImageFeatures:
            if not encoded:
                encoded.append(self.model.encode_image(pixels))
            return encoded[0]

        if not self._started:
            if index != self.frame and not self._live:
                raise VideoError(f"frame {self.frame} is damaged and cannot be decoded", "prompt another frame")
            said = self.session.prompt(index, features_of(index), self.prompts)
            self.session.commit(features_of)
            self._started = True
            return self.session.advance(index, features_of, reverse, self._pivots).updated(said)
        return self.session.advance(index, features_of, reverse, self._pivots)
