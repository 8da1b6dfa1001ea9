"""Streaming: one frame in, one result out, memory bounded whatever the length."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maskscope.errors import PromptError, ShapeError
from maskscope.memory.policies import registry
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.tracking.observer import Observer
from maskscope.tracking.picture import RgbFrame, check_frame, input_size, model_input
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import Session, SessionOptions


class Tracker:
    """Follow objects through a stream of frames.

    Memory is bounded: what the policy can never read again is dropped. Frames prompted by the user are never dropped,
    so a stream that is prompted again and again grows with the number of prompts.

    Args:
        model: from `maskscope.load_model`.
        policy: memory policy, NAME or NAME:key=value,... as in "gated:warm_up=8"; see `maskscope policies`.
        options: see `SessionOptions`.
        observers: called with every stage's output.

    Example:
        >>> tracker = Tracker(load_model())
        >>> result = tracker.step(frame, [Prompt(object_id=1, points_xy_px=[(320, 180)])])
        >>> result = tracker.step(next_frame)
    """

    def __init__(
        self,
        model: SAM2,
        policy: str = "stock",
        options: SessionOptions | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        registry.policy(policy)
        self.model, self.policy, self.options = model, policy, options or SessionOptions()
        self.observers = list(observers)
        self.frame_index = -1  # of the frame at hand
        self._session: Session | None = None
        self._frame: RgbFrame | None = None  # at hand; encoded when first needed
        self._features: ImageFeatures | None = None

    @property
    def session(self) -> Session:
        """Objects and memories.

        Raises:
            PromptError: no frame has been seen yet.
        """
        if self._session is None:
            raise PromptError("no frame has been seen yet", "call step with the first frame")
        return self._session

    @torch.inference_mode()
    def step(self, frame_rgb: RgbFrame, prompts: Sequence[Prompt] = ()) -> FrameResult:
        """Take the next frame, with prompts for it if there are any.

        Objects without a prompt here are tracked from memory; an object prompted here starts afresh from its prompt
        and keeps its earlier memory for later frames.

        Args:
            frame_rgb: (H, W, 3) uint8, of the same size as the first.
            prompts: at most one for each object.

        Raises:
            ShapeError: a frame of another size or type.
            PromptError: a prompt that cannot mean an object on this frame; the frame is then not taken.
        """
        check_frame(frame_rgb)
        size = (frame_rgb.shape[0], frame_rgb.shape[1])
        session = self._session or self.start_session(size)
        if size != session.video_size:
            height, width = session.video_size
            raise ShapeError(
                f"frame {self.frame_index + 1} is {size[1]} x {size[0]}, the frames before were {width} x {height}",
                "resize it, or start another tracker",
            )
        session.check(prompts)
        self.settle()
        before = (self.frame_index, self._frame, self._features)
        self.frame_index, self._frame, self._features = self.frame_index + 1, frame_rgb, None
        try:
            said = session.prompt(self.frame_index, self._features_at(self.frame_index), prompts) if prompts else None
            session.commit(self._features_at)
            result = session.advance(self.frame_index, self._features_at)
        except BaseException:
            self.frame_index, self._frame, self._features = before
            raise
        return result.updated(said) if said is not None else result

    @torch.inference_mode()
    def correct(self, prompts: Sequence[Prompt]) -> FrameResult:
        """Correct the frame at hand: clicks start from its mask. Enters memory with the next step."""
        return self.session.prompt(self.frame_index, self._features_at(self.frame_index), prompts)

    def remove(self, object_id: int) -> None:
        """Forget an object."""
        self.session.remove(object_id)

    def settle(self) -> None:
        """Let corrections of the frame at hand enter memory, as the next step would."""
        if self._session is not None:
            self._session.commit(self._features_at)

    def start_session(self, video_size: tuple[int, int]) -> Session:
        """An empty session for frames of that size (H, W); the first step does this by itself."""
        size = input_size(self.model.config, *video_size)
        policy = registry.policy(self.policy)
        self._session = Session(self.model, policy, video_size, size, self.options, self.observers)
        return self._session

    def _features_at(self, frame_index: int) -> ImageFeatures:
        if frame_index != self.frame_index or self._frame is None:
            raise PromptError(
                f"frame {frame_index} is no longer held, the stream is at {self.frame_index}",
                "use VideoTracker to go back in a file",
            )
        if self._features is None:
            self._features = self.model.encode_image(model_input(self._frame, self.session.input_size, self.model))
        return self._features
