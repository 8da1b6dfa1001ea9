"""One tracked run under observation: every frame is tracked, measured at the positions, and scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.data.label_maps import VOID_LABEL
from maskscope.evaluate.presence import LOST_IOU, Outcome
from maskscope.model import SAM2
from maskscope.model.mask_decoder import upsample_logits
from maskscope.observe.measures.attention import MemoryGaze, TokenGaze
from maskscope.observe.measures.calibration import ScoredFrame, calibration
from maskscope.observe.measures.early_decoding import EarlyDecoding
from maskscope.observe.measures.passages import Listener
from maskscope.observe.measures.pointer import PointerIdentity
from maskscope.observe.measures.pointer_map import PointerInfluence, StoredTokens
from maskscope.observe.measures.separation import Separation
from maskscope.observe.measures.window_distance import WindowDistance
from maskscope.observe.probe import Measure, Probe, Sight
from maskscope.observe.reading import Reading
from maskscope.observe.taps import Taps
from maskscope.studies.label_store import LabelStore
from maskscope.tracking.observer import Observer
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.transforms.base import Clip, ClipFrame

MapSink = Callable[[int, int, str, NDArray[np.float32]], None]
EVERY: Final = 8
"""Measures of attention, early decoding and stored tokens look at every so many frames: neighbours resemble each
other, and these cost more than all the rest."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One object on one frame against the truth.

    Attributes:
        frame: its number.
        object: its number.
        j: overlap with the truth on pixels that have one, 0..1; None where truth does not show the object.
        outcome: the kind of the frame, as `maskscope.evaluate.presence` has it.
    """

    frame: int
    object: int
    j: float | None
    outcome: Outcome

    @property
    def success(self) -> float:
        """J, or 1 for an absence that was seen and 0 for a false alarm."""
        return self.j if self.j is not None else float(self.outcome == Outcome.absence)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame of a run.

    Attributes:
        frame: with its truth.
        masks: (h, w) bool of each object, as tracked.
        scored: each object against its truth.
    """

    frame: ClipFrame
    masks: Mapping[int, NDArray[np.bool_]]
    scored: tuple[Scored, ...]


@dataclass(frozen=True)
class Instruments:
    """What is measured, beside what always is: separation, distance to memory, and pointers along time.

    Attributes:
        attention: where queries and tokens look, early decoding, stored tokens; on every so many frames.
        taps: separation at the finer places, too.
        every: so many.
        measures: more of them, such as one face of `Filtering`.
        sink: is handed every sight of the positions.
        maps: is handed maps of the pointers' influence, on the frames that `wants_maps` chooses.
        wants_maps: frame -> whether a map is wanted.
    """

    attention: bool = True
    taps: bool = False
    every: int = EVERY
    measures: tuple[Measure, ...] = ()
    sink: Callable[[Sight], None] | None = None
    maps: MapSink | None = None
    wants_maps: Callable[[int], bool] = field(default=lambda _: False)


class ObservedRun:
    """A tracker on its way through a clip, one `step` a frame.

    Masks are those of an unobserved run, to the last bit. Several runs may share a model and take turns: what listens
    inside the model does so only while its own run steps.

    Args:
        model: that tracks.
        clip: whose frames have masks; these are the truth.
        prompts: on its first frame.
        policy: of memory.
        instruments: what is measured.
        reference: another run, whose read-outs of separation are used here: the clean one, for a transformed one.
    """

    def __init__(
        self,
        model: SAM2,
        clip: Clip,
        prompts: Sequence[Prompt],
        policy: str = "stock",
        instruments: Instruments | None = None,
        reference: ObservedRun | None = None,
    ) -> None:
        self.clip, self.prompts = clip, list(prompts)
        self.object_ids = tuple(sorted(prompt.object_id for prompt in prompts))
        self.truth = LabelStore()
        self.next_frame = 0
        self.scored: list[Scored] = []
        self._shown: ClipFrame | None = None
        self._scores: dict[int, list[ScoredFrame]] = {number: [] for number in self.object_ids}
        wanted = instruments or Instruments()
        self._wants_maps = wanted.wants_maps
        self.separation, self.pointers = Separation(fisher_every=wanted.every), PointerIdentity()
        if reference is not None:
            # One and the same table: the reference goes ahead and fits, this run only tests.
            self.separation.readouts = reference.separation.readouts
            self.separation.elsewhere = reference.separation.elsewhere
            self.pointers.first = reference.pointers.first
        self._probes = [
            self._probe(model, [self.separation, WindowDistance(), self.pointers, *wanted.measures], wanted.sink)
        ]
        self._taps: Taps | None = None
        if wanted.taps:
            self._probes.append(self._probe(model, [self.separation]))
            self._taps = Taps(model, self._probes[-1])
        self._listeners = self._listening(model, wanted) if wanted.attention else []
        self._maps = PointerInfluence(model, self.true_masks, 1, self.truth.valid, wanted.maps)
        observers: list[Observer] = [self._probes[0], *self._listeners, self._maps]
        if self._taps is not None:
            observers.append(self._taps)
        self._tracker = Tracker(model, policy, SessionOptions(num_frames=clip.num_frames), observers)

    def _probe(self, model: SAM2, measures: Sequence[Measure], sink: Callable[[Sight], None] | None = None) -> Probe:
        dim = model.config.memory.dim
        return Probe(
            measures,
            self.true_masks,
            memory_dim=dim,
            picture=lambda _: self._image(),
            valid=self.truth.valid,
            sink=sink,
        )

    def _listening(self, model: SAM2, wanted: Instruments) -> list[Listener]:
        kinds = (MemoryGaze, TokenGaze, EarlyDecoding, StoredTokens)
        return [kind(model, self.true_masks, wanted.every, self.truth.valid) for kind in kinds]

    def true_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """(h, w) bool of each object on a frame that was reached."""
        return self.truth.masks(index, self.object_ids)

    def _image(self) -> NDArray[np.uint8]:
        assert self._shown is not None
        return self._shown.image_hwc

    @property
    def done(self) -> bool:
        """All frames are tracked."""
        return self.next_frame == self.clip.num_frames

    def look(self) -> ClipFrame:
        """The next frame; the same one until `step` has taken it."""
        if self._shown is None:
            self._shown = self.clip.at(self.next_frame)
        return self._shown

    def step(self) -> Seen:
        """Track, measure and score the next frame."""
        t, shown = self.next_frame, self.look()
        labels = shown.visible_hw
        if shown.void_hw is not None:
            labels = np.where(shown.void_hw, np.uint8(VOID_LABEL), labels)
        if len(self.truth) == t:
            self.truth.append(labels)
        with ExitStack() as listening:
            for listener in self._listeners:
                listening.enter_context(listener)
            if self._wants_maps(t):
                listening.enter_context(self._maps)
            if self._taps is not None:
                listening.enter_context(self._taps)
            result = self._tracker.step(shown.image_hwc, self.prompts if t == 0 else ())
        self.next_frame, self._shown = t + 1, None
        masks = dict(zip(result.object_ids, result.masks, strict=True))
        truth, valid = self.true_masks(t), self.truth.valid(t)
        scored = tuple(_scored(t, number, masks[number], truth[number], valid) for number in self.object_ids)
        self.scored += scored
        if t:
            for each in scored:
                self._scores[each.object].append(_said(result, each, truth[each.object], valid))
        return Seen(shown, masks, scored)

    def readings(self, calibrated: bool = True) -> list[Reading]:
        """All so far, those of the whole clip included.

        Args:
            calibrated: the model's own scores are compared with the truth, which must then be one.
        """
        found = list(chain(*(each.readings for each in self._probes), *(each.readings for each in self._listeners)))
        found += self._maps.readings
        found += self.pointers.readings() if self.next_frame else []
        if calibrated:
            for number, frames in self._scores.items():
                found += calibration(frames, number)
        return found


def _scored(
    frame: int,
    object_id: int,
    mask_hw: NDArray[np.bool_],
    truth_hw: NDArray[np.bool_],
    valid_hw: NDArray[np.bool_] | None,
) -> Scored:
    if valid_hw is not None:
        mask_hw, truth_hw = mask_hw & valid_hw, truth_hw & valid_hw
    said = bool(mask_hw.any())
    if not truth_hw.any():
        return Scored(frame, object_id, None, Outcome.hallucination if said else Outcome.absence)
    j = float(np.count_nonzero(mask_hw & truth_hw) / np.count_nonzero(mask_hw | truth_hw))
    return Scored(frame, object_id, j, Outcome.hit if j > LOST_IOU else Outcome.drift if said else Outcome.miss)


def _said(
    result: FrameResult, scored: Scored, truth_hw: NDArray[np.bool_], valid_hw: NDArray[np.bool_] | None
) -> ScoredFrame:
    """What the model said, and J of the chosen mask as decoded: also where the object was judged absent."""
    masks = result.objects[scored.object]
    j = scored.j
    if j is not None:
        logits = upsample_logits(masks.chosen_logits_hw[None, None], result.video_size)[0, 0]
        decoded = _scored(scored.frame, scored.object, (logits > 0).cpu().numpy(), truth_hw, valid_hw)
        j = decoded.j
    return ScoredFrame(min(max(masks.predicted_iou, 0.0), 1.0), masks.object_score_logit, j)
