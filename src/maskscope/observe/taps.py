"""Finer places inside the stages, in the order a frame passes them, read through forward hooks that change nothing.

The five positions need no hook: the tracker hands them out. What lies inside a part is read here. Hooks do not know the
frame nor the objects, so what they see waits for the position it leads to, and gets its frame and objects from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final

from torch import Tensor, nn

from maskscope.errors import SettingError
from maskscope.model import SAM2
from maskscope.model.memory_attention import MemoryAttentionLayer
from maskscope.model.outputs import DecodedMasks
from maskscope.stages import Stage
from maskscope.tracking.observer import Observation

TRUNK_STRIDES: Final = (4, 8, 16, 32)
NECK_STRIDES: Final = (4, 8, 16)


@dataclass(frozen=True, slots=True)
class Tap:
    """A place inside a stage.

    Attributes:
        name: such as "memory_attention.0.cross".
        stage: the position it leads to.
    """

    name: str
    stage: Stage


@dataclass(frozen=True, slots=True, eq=False)
class Tapped:
    """What was read at a tap, for some objects of one frame.

    Attributes:
        tap: one of `taps_of`.
        frame_index: position in the video.
        object_ids: whose; empty for taps of the image encoder, which all share.
        output: (1 or b, c, h, w), each grid covers the whole frame. Not to be changed.
    """

    tap: Tap
    frame_index: int
    object_ids: tuple[int, ...]
    output: Tensor


def taps_of(model: SAM2) -> tuple[Tap, ...]:
    """All taps of a model, in the order a frame passes them.

    `trunk.stride*` are the trunk's levels, `neck.stride*` the pyramid's; `memory_attention.L.self`, `.cross` and `.mlp`
    the image tokens after that part of layer L, counted from 0; `mask_decoder.L` the image tokens after block L;
    `upscaled` the embedding masks are read from, `mask_logits` all candidates as channels, not silenced where the
    object is judged absent.
    """
    encoder: list[Tap] = [Tap(f"trunk.stride{s}", "image_embedding") for s in TRUNK_STRIDES]
    encoder += [Tap(f"neck.stride{s}", "image_embedding") for s in NECK_STRIDES]
    memory = [
        Tap(f"memory_attention.{layer}.{part}", "memory_conditioned")
        for layer in range(len(model.memory_attention.layers))
        for part in ("self", "cross", "mlp")
    ]
    blocks = range(len(model.mask_decoder.transformer.layers))
    decoder = [*(f"mask_decoder.{block}" for block in blocks), "upscaled", "mask_logits"]
    return (*encoder, *memory, *(Tap(name, "prompt_attended") for name in decoder))


@dataclass(slots=True)
class _Passage:
    """One call of a part: what its taps saw, until it is known whose it is. Token maps wait for their grid."""

    seen: dict[str, Tensor] = field(default_factory=dict)
    grid: tuple[int, int] | None = None
    end: Tensor | None = None  # the part's output, by which the position's observation is recognised

    def led_to(self, output: Tensor) -> bool:
        """Parts that run in lower precision are converted on the way out; else the very tensor comes out."""
        return self.end is output or (self.end is not None and self.end.dtype != output.dtype)


class Taps:
    """Reads a model's taps while it is entered, and is an observer of the tracker that the model runs in.

    Taps of an image or an object are told right after the position they lead to has been observed. What an intervention
    has put in place of a position was not made by the taps before it; those are then not told.

    Args:
        model: whose parts are read.
        listener: called for each tap, in order.
        only: names of the taps wanted; None is all.

    Raises:
        SettingError: a name that is no tap of this model.

    Example:
        >>> with Taps(model, probe) as taps:
        ...     tracker = Tracker(model, observers=[taps, probe])
    """

    def __init__(self, model: SAM2, listener: Callable[[Tapped], None], only: Collection[str] | None = None) -> None:
        every = taps_of(model)
        if unknown := sorted(set(only or ()) - {tap.name for tap in every}):
            raise SettingError(f"the model has no tap {unknown[0]!r}", f"it has {', '.join(tap.name for tap in every)}")
        self.model, self.listener = model, listener
        self.taps = tuple(tap for tap in every if only is None or tap.name in only)
        self._names = frozenset(tap.name for tap in self.taps)
        self._passages: dict[Stage, list[_Passage]] = {}
        self._hooks: ExitStack | None = None
        self._telling = False

    def __enter__(self) -> Taps:
        if self._hooks is not None:
            raise SettingError("these taps are open already", "open each once, or make others")
        with ExitStack() as hooks:
            self._hook_image_encoder(hooks)
            self._hook_memory_attention(hooks)
            self._hook_mask_decoder(hooks)
            self._hooks = hooks.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hooks, self._hooks = self._hooks, None
        self._passages.clear()
        if hooks is not None:
            hooks.close()

    def __call__(self, observation: Observation) -> None:
        """Tell what led to this position; positions without taps are nothing to it."""
        waiting = self._passages.get(observation.stage, [])
        passage = next((passage for passage in reversed(waiting) if passage.led_to(observation.output)), None)
        if passage is not None:
            waiting.remove(passage)
            with self._deaf():
                for tap in self.taps:
                    if tap.stage == observation.stage and tap.name in passage.seen:
                        output = passage.seen[tap.name]
                        self.listener(Tapped(tap, observation.frame_index, observation.object_ids, output))
        if observation.stage == "image_embedding":  # a new frame: what nobody asked about will not be asked about
            self._passages.clear()

    @contextmanager
    def _deaf(self) -> Iterator[None]:
        """A listener may run parts of the model; that is no passage of a frame."""
        self._telling = True
        try:
            yield
        finally:
            self._telling = False

    # -- hooks: each only reads, and returns None ---------------------------------------------------------------------

    def _hook_image_encoder(self, hooks: ExitStack) -> None:
        encoder = self.model.image_encoder

        def trunk(_: nn.Module, __: Any, levels: list[Tensor]) -> None:
            passage = self._begin("image_embedding", keep=0)
            for stride, level in zip(TRUNK_STRIDES, levels, strict=True):
                self._see(passage, f"trunk.stride{stride}", level)

        def neck(_: nn.Module, __: Any, levels: list[Tensor]) -> None:
            passage = self._current("image_embedding")
            for stride, level in zip(NECK_STRIDES, levels, strict=True):
                self._see(passage, f"neck.stride{stride}", level)
            if passage is not None:
                passage.end = levels[-1]

        self._listen(hooks, encoder.trunk, trunk)
        self._listen(hooks, encoder.neck, neck)

    def _hook_memory_attention(self, hooks: ExitStack) -> None:
        part = self.model.memory_attention

        def begin(_: nn.Module, args: tuple[Any, ...]) -> None:
            passage = self._begin("memory_conditioned", keep=0)
            if passage is not None:
                passage.grid = (args[0].shape[-2], args[0].shape[-1])

        def end(_: nn.Module, __: Any, output: Tensor) -> None:
            if (passage := self._current("memory_conditioned")) is not None:
                passage.end = output

        hooks.callback(part.register_forward_pre_hook(begin).remove)
        self._listen(hooks, part, end)
        for index, layer in enumerate(part.layers):
            assert isinstance(layer, MemoryAttentionLayer)
            # a norm's input is what the part before it left; its own output serves the next part only
            self._listen(hooks, layer.norm2, self._tokens_in("memory_conditioned", f"memory_attention.{index}.self"))
            self._listen(hooks, layer.norm3, self._tokens_in("memory_conditioned", f"memory_attention.{index}.cross"))
            self._listen(hooks, layer, self._tokens_out("memory_conditioned", f"memory_attention.{index}.mlp"))

    def _hook_mask_decoder(self, hooks: ExitStack) -> None:
        decoder = self.model.mask_decoder

        def begin(_: nn.Module, args: tuple[Any, ...]) -> None:
            # groups of objects are decoded one after the other before any is observed, so several may wait
            passage = self._begin("prompt_attended", keep=None)
            if passage is not None:
                passage.grid = (args[0].shape[-2], args[0].shape[-1])

        def end(_: nn.Module, __: Any, output: DecodedMasks) -> None:
            passage = self._current("prompt_attended")
            self._see(passage, "upscaled", output.upscaled_bchw)
            self._see(passage, "mask_logits", output.mask_logits_bmhw)
            if passage is not None:
                passage.end = output.attended_bchw

        hooks.callback(decoder.register_forward_pre_hook(begin).remove)
        self._listen(hooks, decoder, end)
        for index, layer in enumerate(decoder.transformer.layers):
            self._listen(hooks, layer, self._tokens_out("prompt_attended", f"mask_decoder.{index}"))

    @staticmethod
    def _listen(hooks: ExitStack, module: nn.Module, hook: Callable[..., None]) -> None:
        hooks.callback(module.register_forward_hook(hook).remove)

    def _tokens_in(self, stage: Stage, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...], __: Tensor) -> None:
            self._see(self._current(stage), name, args[0])

        return hook

    def _tokens_out(self, stage: Stage, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Tensor | tuple[Tensor, Tensor]) -> None:
            self._see(self._current(stage), name, output if isinstance(output, Tensor) else output[1])

        return hook

    # -- what waits ---------------------------------------------------------------------------------------------------

    def _begin(self, stage: Stage, keep: int | None) -> _Passage | None:
        """A new call of a part; of those before it `keep` still wait, None is all."""
        if self._telling:
            return None
        waiting = self._passages.setdefault(stage, [])
        if keep is not None:
            del waiting[: len(waiting) - keep]
        waiting.append(_Passage())
        return waiting[-1]

    def _current(self, stage: Stage) -> _Passage | None:
        waiting = self._passages.get(stage)
        return waiting[-1] if waiting and not self._telling else None

    def _see(self, passage: _Passage | None, name: str, features: Tensor) -> None:
        if passage is None or name not in self._names:
            return
        if features.ndim == 3:  # tokens (b, hw, c)
            assert passage.grid is not None
            features = features.transpose(1, 2).unflatten(2, passage.grid)
        passage.seen[name] = features.detach()
