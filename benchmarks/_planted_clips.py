"""Clips to plant faults in: their clean runs, and runs with something planted beside them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.data.davis import DavisDataset
from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.observe.blame import Blame, blame
from maskscope.observe.intervene import Intervened
from maskscope.observe.measures.pointer import PointerIdentity
from maskscope.observe.measures.separation import Separation
from maskscope.observe.patching import Activations, Side, patch_positions
from maskscope.observe.probe import Probe
from maskscope.observe.reading import Reading
from maskscope.observe.recovery import Recovery
from maskscope.stages import STAGES, Stage
from maskscope.studies.bundled_clip import BundledClip
from maskscope.tracking.prompts import Prompt

OBJECT = 1
SCENES = tuple(range(21, 41))  # seeds of synthetic clips


@dataclass(frozen=True)
class Clip:
    """Frames and the object's masks, in memory."""

    name: str
    frames: Sequence[NDArray[np.uint8]]
    masks: Sequence[NDArray[np.bool_]]


class EncodedClip(Intervened):
    """The model on one clip, whose frames it encodes once for all runs."""

    def __init__(self, model: SAM2) -> None:
        super().__init__(model)
        self.encoded: dict[int, ImageFeatures] = {}

    def encode_image(self, images_fchw: torch.Tensor) -> ImageFeatures:
        """As `SAM2.encode_image`."""
        if self.frame_index not in self.encoded:
            self.encoded[self.frame_index] = self._model.encode_image(images_fchw)
        return self.encoded[self.frame_index]


class Bench:
    """One clip: its clean run, and runs with something planted beside it.

    Args:
        model: that tracks.
        clip: which.

    Attributes:
        j: mean of the clean run, the prompted frame left out.
    """

    def __init__(self, model: SAM2, clip: Clip) -> None:
        self.model, self.clip = model, clip
        self.encoded = EncodedClip(model)
        self.activations = Activations(keep=None)
        self._separation, self._pointers = Separation(), PointerIdentity()
        clean = Intervened(self.encoded.as_model, self.activations.recorders())
        probe = self._probe(self._separation, self._pointers)
        scores = self._run(self.side(self.encoded.as_model), self.side(clean.as_model), (), probe)
        self.clean = probe.readings
        self.j = float(np.mean([r.value for r in scores if r.metric == "clean_j" and r.value is not None and r.frame]))

    def side(self, model: SAM2, frames: Sequence[NDArray[np.uint8]] | None = None) -> Side:
        """A run of this clip, or of other frames of it."""
        shown = self.clip.frames if frames is None else frames
        return Side(model, shown.__getitem__, len(shown), {0: [Prompt(OBJECT, mask=self.clip.masks[0])]})

    def truth(self, frame_index: int) -> dict[int, NDArray[np.bool_]]:
        """The object's mask."""
        return {OBJECT: self.clip.masks[frame_index]}

    def blame(self, model: SAM2, frames: Sequence[NDArray[np.uint8]] | None = None) -> tuple[list[Blame], bool]:
        """Blames of a disturbed run, and whether it lost the object where the clean run holds it.

        Positions are patched only if there is a loss to repair. Read-outs and the first pointer are the clean run's.
        """
        donor, receiver = self.side(self.encoded.as_model), self.side(model, frames)
        separation = Separation(readouts=self._separation.readouts, elsewhere=self._separation.elsewhere)
        probe = self._probe(separation, PointerIdentity(first=self._pointers.first))
        scores = self._run(donor, receiver, (), probe)
        if not any(each.loss.held for each in blame(self.clean, probe.readings, scores)):
            return [], False
        patched = self._run(donor, receiver, STAGES)
        return [each for each in blame(self.clean, probe.readings, patched) if each.loss.held], True

    def _probe(self, separation: Separation, pointers: PointerIdentity) -> Probe:
        return Probe([separation, pointers], self.truth, memory_dim=self.model.config.memory.dim)

    def _run(self, donor: Side, receiver: Side, stages: Sequence[Stage], probe: Probe | None = None) -> list[Reading]:
        """What became of the masks of all runs; the probe sees the receiver."""
        observers = () if probe is None else (probe,)
        seen = Side(receiver.model, receiver.frame, receiver.num_frames, receiver.prompts, observers)
        recovery, scores = Recovery(OBJECT, self.truth), list[Reading]()
        for step in patch_positions(donor, seen, stages=stages):
            scores += recovery.add(step)
        return scores


def bundled_and_synthetic(count: int, num_frames: int) -> Iterator[Clip]:
    """The bundled clip, and drawn ones of its size."""
    bundled = BundledClip()
    yield cut("bundled", bundled.frame, bundled.masks, bundled.num_frames, num_frames)
    height, width = bundled.size
    for seed in SCENES[: count - 1]:
        drawn = synthesize_clip(
            SyntheticConfig(seed=seed, num_frames=num_frames, height_px=height, width_px=width, occlusion="none")
        )
        masks = drawn.visible_masks
        yield cut(f"synthetic {seed}", drawn.frames.__getitem__, masks.__getitem__, num_frames, num_frames)


def davis(root: Path, count: int, num_frames: int) -> Iterator[Clip]:
    """The first clips of a folder in the layout of DAVIS, one object each."""
    for sequence in itertools.islice(DavisDataset(root, single_object=True), count):
        yield cut(sequence.name, sequence.frame, sequence.masks, sequence.num_frames, num_frames)


def cut(
    name: str,
    frame: Callable[[int], NDArray[np.uint8]],
    masks: Callable[[int], NDArray[np.uint8]],
    available: int,
    num_frames: int,
) -> Clip:
    """The beginning of a clip, in memory."""
    wanted = range(min(available, num_frames))
    return Clip(name, [frame(t) for t in wanted], [masks(t) == OBJECT for t in wanted])
