"""What passes through memory attention and the mask decoder, kept until the tracker says whose it was.

Measures of attention need more than a position's output: the memories as they were read, and what queries and keys are
made of. Hooks that only read keep references to these; nothing is computed for it, and nothing in the forward path
changes. Weights are computed afterwards from queries and keys, so observed and unobserved runs use the same kernel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn

from maskscope.errors import SettingError
from maskscope.model import SAM2
from maskscope.model.layers.attention import Attention
from maskscope.model.mask_decoder import TwoWayLayer
from maskscope.model.memory_attention import MemoryAttentionLayer
from maskscope.model.outputs import DecodedMasks, ImageFeatures, MemoryTokens, PromptTokens
from maskscope.observe.grid import Regions
from maskscope.observe.measures.known_memories import fingerprint
from maskscope.observe.probe import Truth, Valid
from maskscope.observe.reading import Reading
from maskscope.tracking.observer import Observation

_REGIONS_KEPT = 64


@dataclass(slots=True, eq=False)
class MemoryPassage:
    """One pass of b objects through memory attention.

    Attributes:
        memory: the tokens that were read.
        grid: rows and columns of the image tokens.
        appearance_bna: appearance keys of the image tokens, of models that have them.
        slots_bs: temporal slot of each spatial memory; the last is that of prompted frames.
        prints_bsn: `fingerprint` of each spatial memory.
        queries: for each layer (b, n, c), the normalised image tokens that its cross-attention makes queries of.
        outputs: for each layer (b, n, c), the image tokens after it.
        end: what came out, by which the position's observation is recognised.
    """

    memory: MemoryTokens
    grid: tuple[int, int]
    appearance_bna: Tensor | None
    slots_bs: Sequence[Sequence[int]]
    prints_bsn: Tensor
    queries: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    end: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TokenRead:
    """One attention of output tokens to image tokens: its place, the module, and its inputs."""

    tap: str
    attention: Attention
    queries_bnc: Tensor
    keys_bmc: Tensor


@dataclass(slots=True, eq=False)
class DecoderPassage:
    """One pass of b objects through the mask decoder.

    Attributes:
        image: features it was given; batch b or 1.
        prompt: tokens it was given.
        multimask: three candidates instead of one.
        decoded: what came out, absent objects not silenced.
        reads: where its tokens looked, in order.
    """

    image: ImageFeatures
    prompt: PromptTokens
    multimask: bool
    decoded: DecodedMasks | None = None
    reads: list[TokenRead] = field(default_factory=list)

    @property
    def end(self) -> Tensor | None:
        """By which the position's observation is recognised."""
        return None if self.decoded is None else self.decoded.attended_bchw


class MemoryPassages:
    """Hears memory attention. A passage is handed out with the observation of `memory_conditioned` that it led to."""

    def __init__(self, model: SAM2) -> None:
        self.model = model
        self._latest: MemoryPassage | None = None
        self._laid_out: tuple[Sequence[Sequence[int]], Tensor] | None = None

    def attach(self, hooks: ExitStack) -> None:
        """Put hooks in place; `hooks` removes them."""
        part = self.model.memory_attention
        hooks.callback(self.model.memory_tokens.register_forward_pre_hook(self._lay_out).remove)
        hooks.callback(part.register_forward_hook(self._ended).remove)
        hooks.callback(part.layers[0].register_forward_pre_hook(self._began).remove)  # all are given the same memories
        for layer in part.layers:
            assert isinstance(layer, MemoryAttentionLayer)
            hooks.callback(layer.norm2.register_forward_hook(self._asked).remove)
            hooks.callback(layer.register_forward_hook(self._answered).remove)

    def clear(self) -> None:
        """Forget what was heard."""
        self._latest = self._laid_out = None

    def led_to(self, observation: Observation) -> MemoryPassage | None:
        """The passage whose outcome is observed; None where no memory was read, or another activation put in place."""
        passage, self._latest = self._latest, None
        return passage if passage is not None and _leads(passage.end, observation.output) else None

    def _lay_out(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._laid_out = ([tuple(slots) for slots in args[1]], fingerprint(args[0]))

    def _began(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        _x, memory, grid, appearance = args
        laid_out, self._laid_out = self._laid_out, None
        self._latest = None if laid_out is None else MemoryPassage(memory, grid, appearance, *laid_out)

    def _asked(self, _: nn.Module, __: Any, output: Tensor) -> None:
        if self._latest is not None:
            self._latest.queries.append(output)

    def _answered(self, _: nn.Module, __: Any, output: Tensor) -> None:
        if self._latest is not None:
            self._latest.outputs.append(output)

    def _ended(self, _: nn.Module, __: Any, output: Tensor) -> None:
        if self._latest is not None:
            self._latest.end = output


class DecoderPassages:
    """Hears the mask decoder. A passage is handed out with the observation of `prompt_attended` that it led to."""

    def __init__(self, model: SAM2) -> None:
        self.model = model
        self._waiting: list[DecoderPassage] = []  # groups of objects are decoded before any of them is observed

    def attach(self, hooks: ExitStack) -> None:
        """Put hooks in place; `hooks` removes them."""
        part = self.model.mask_decoder
        hooks.callback(part.register_forward_pre_hook(self._began).remove)
        hooks.callback(part.register_forward_hook(self._ended).remove)
        for index, layer in enumerate(part.transformer.layers):
            assert isinstance(layer, TwoWayLayer)
            look = self._look(f"mask_decoder.{index}")
            hooks.callback(layer.cross_attn_token_to_image.register_forward_pre_hook(look).remove)
        last = part.transformer.final_attn_token_to_image
        hooks.callback(last.register_forward_pre_hook(self._look("mask_decoder.final")).remove)

    def clear(self) -> None:
        """Forget what was heard."""
        self._waiting.clear()

    def led_to(self, observation: Observation) -> DecoderPassage | None:
        """The passage whose outcome is observed; None where another activation was put in its place."""
        found = next((passage for passage in self._waiting if _leads(passage.end, observation.output)), None)
        if found is not None:
            self._waiting.remove(found)
        return found

    def _began(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        _embedding, image, prompt, _position, multimask = args
        self._waiting.append(DecoderPassage(image, prompt, multimask))

    def _look(self, tap: str) -> Any:
        def hook(attention: Attention, args: tuple[Tensor, ...]) -> None:
            if self._waiting:
                self._waiting[-1].reads.append(TokenRead(tap, attention, args[0], args[1]))

        return hook

    def _ended(self, _: nn.Module, __: Any, output: DecodedMasks) -> None:
        if self._waiting:
            self._waiting[-1].decoded = output


def _leads(end: Tensor | None, output: Tensor) -> bool:
    """Parts that run in lower precision are converted on the way out; else the very tensor comes out."""
    return end is output or (end is not None and end.dtype != output.dtype and end.shape == output.shape)


class Listener(ABC):
    """An observer of the tracker that hears parts of the model while it is entered, and is deaf afterwards.

    Args:
        model: whose parts are heard; the model itself also where a stand-in for it is tracked with.
        truth: frame index -> masks of the objects, also of earlier frames than the one at hand.
        every: only each so many frames are measured.
        valid: where there is truth.

    Attributes:
        readings: all so far.

    Raises:
        SettingError: `every` is not 1 or more; entered twice.

    Example:
        >>> with listener, attached(tracker, listener):
        ...     result = tracker.step(frame)
    """

    def __init__(self, model: SAM2, truth: Truth, every: int = 1, valid: Valid | None = None) -> None:
        if every < 1:
            raise SettingError(f"each {every}-th frame is to be measured, expected 1 or more", "for example every=5")
        self.model, self.truth, self.every, self.valid = model, truth, every, valid
        self.readings: list[Reading] = []
        self._regions: dict[tuple[int, int, tuple[int, int]], Regions | None] = {}
        self._ears = self._listens_to()
        self._hooks: ExitStack | None = None

    @abstractmethod
    def _listens_to(self) -> Sequence[MemoryPassages | DecoderPassages]:
        """Parts that are heard."""

    @abstractmethod
    def _hear(self, observation: Observation) -> None:
        """Measure, if there is anything to."""

    def __call__(self, observation: Observation) -> None:
        """Take what the tracker says of a position."""
        if observation.stage == "image_embedding":  # a new frame: what nobody asked about will not be asked about
            self._forget()
        self._hear(observation)

    def _forget(self) -> None:
        """Let go of the frame."""
        for ear in self._ears:
            ear.clear()

    def due(self, frame_index: int) -> bool:
        """Whether a frame is to be measured."""
        return frame_index % self.every == 0

    def regions(self, frame_index: int, object_id: int, grid: tuple[int, int]) -> Regions | None:
        """The object on a frame; None where truth does not speak of it. The latest are kept."""
        key = (frame_index, object_id, grid)
        if key not in self._regions:
            masks = self.truth(frame_index)
            known = None if masks is None else masks.get(object_id)
            valid = self.valid(frame_index) if self.valid and known is not None else None
            self._regions[key] = None if known is None else Regions.of(known, grid, valid)
            while len(self._regions) > _REGIONS_KEPT:
                del self._regions[next(iter(self._regions))]
        found = self._regions[key] = self._regions.pop(key)  # what is asked for again and again stays
        return found

    def __enter__(self) -> Self:
        if self._hooks is not None:
            raise SettingError("this listener hears already", "enter each once, or make others")
        with ExitStack() as hooks:
            for ear in self._ears:
                ear.attach(hooks)
            self._hooks = hooks.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hooks, self._hooks = self._hooks, None
        self._forget()
        if hooks is not None:
            hooks.close()


def first_rows(object_ids: Sequence[int]) -> dict[int, int]:
    """Object -> its first row; a policy with several pathways hands over the best first."""
    rows: dict[int, int] = {}
    for row, object_id in enumerate(object_ids):
        rows.setdefault(object_id, row)
    return rows
