"""Activation patching: runs side by side, and at one position the activation of one run in the place of the other's.

What comes back when position p of a disturbed run is given the clean run's activation was lost at p or before it; what
does not come back is lost behind p, or travels past it. Patching the disturbed run with clean activations asks what
repairs (denoising), patching the clean run with disturbed ones asks what breaks (noising); the two differ, see Zhang
and Nanda, arXiv 2309.16042, and both are to be had by exchanging the sides.

All runs go through the clips in lockstep, frame by frame: no activation outlives its frame, so memory does not grow
with the clips' length. The disturbed frame is encoded once for all runs that see it. Beside the disturbed run itself,
five positions cost the clean run, and five that need no image encoder: less than six tracking passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from maskscope.errors import PromptError, SettingError
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.observe.counterpart import (
    BACKWARDS,
    BEYOND,
    NOT_GIVEN,
    CannotAlign,
    Counterpart,
    in_place,
    same_frame,
)
from maskscope.observe.intervene import Intervened, Replacement
from maskscope.stages import STAGES, Stage
from maskscope.tracking.observer import Observer
from maskscope.tracking.picture import RgbFrame
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two runs.

    Attributes:
        model: that sees the clip; with planted faults it is a stand-in, whose faults must not depend on anything but
            the frame.
        frame: frame index -> (H, W, 3) uint8.
        num_frames: how many there are.
        prompts: by frame, all of one object.
        observers: of this run.
    """

    model: SAM2
    frame: Callable[[int], RgbFrame]
    num_frames: int
    prompts: Mapping[int, Sequence[Prompt]]
    observers: Sequence[Observer] = field(default=())


@dataclass(frozen=True, slots=True, eq=False)
class PatchStep:
    """All runs on one frame of the receiver.

    Attributes:
        frame_index: of the receiver.
        counterpart: the donor's frame of the same moment, with the reason where there is none.
        donor: what it says of that frame; None where there is none.
        receiver: what it says by itself.
        patched: what it says with the donor's activation at one position.
        refused: why nothing was put in place at a position, on a frame where it should have been.
    """

    frame_index: int
    counterpart: Counterpart
    donor: FrameResult | None
    receiver: FrameResult
    patched: Mapping[Stage, FrameResult]
    refused: Mapping[Stage, str]


class Activations:
    """What the arrows gave in one run, by position and frame, in the order of the calls.

    Args:
        keep: frames that are held; older ones are dropped. None holds all of them.
    """

    def __init__(self, keep: int | None = 1) -> None:
        self.keep = keep
        self._frames: dict[int, dict[Stage, list[Any]]] = {}

    def recorders(self, stages: Sequence[Stage] = STAGES) -> dict[Stage, Replacement]:
        """Replacements that replace nothing and write down what they see, for `Intervened`."""
        return {stage: self._recorder(stage) for stage in stages}

    def _recorder(self, stage: Stage) -> Replacement:
        def record(frame_index: int, output: Any) -> Any:
            if frame_index not in self._frames:
                self._frames[frame_index] = {}
                while self.keep is not None and len(self._frames) > self.keep:
                    del self._frames[next(iter(self._frames))]
            self._frames[frame_index].setdefault(stage, []).append(output)
            return output

        return record

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames that are held, in the order they were seen."""
        return tuple(self._frames)

    def at(self, stage: Stage, frame_index: int) -> Sequence[Any]:
        """Outputs of a position on a frame; none where it was not asked, or no longer held."""
        return self._frames.get(frame_index, {}).get(stage, [])


def patch_positions(
    donor: Side,
    receiver: Side,
    *,
    stages: Sequence[Stage] = STAGES,
    frames: Callable[[int], bool] | None = None,
    counterparts: Callable[[int], Counterpart] = same_frame,
    policy: str = "stock",
    options: SessionOptions | None = None,
) -> Iterator[PatchStep]:
    """Run both sides, and the receiver once more for each position with the donor's activations there.

    With the clean run as donor this asks what repairs the disturbed one; with the sides exchanged, what breaks the
    clean one. A patch acts on from where it is: what is written to memory behind it, and all later frames, follow.

    Args:
        donor: whose activations are taken.
        receiver: into whose run they are put.
        stages: positions to patch, each in a run of its own.
        frames: frames of the receiver to patch on; all by default, the prompted ones too: what is written there is read
            to the end. A mask that the user gave is not replaced, see `Intervened`.
        counterparts: frame of the receiver -> the donor's frame of the same moment; moments must not run backwards.
        policy: memory policy of all runs.
        options: of all sessions.

    Yields:
        One step for each frame of the receiver.

    Raises:
        SettingError: no such position.
        PromptError: prompts of several objects, or of none; objects are patched one at a time.
    """
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown:
        raise SettingError(f"there is no position {unknown[0]!r}", f"positions: {', '.join(STAGES)}")
    the_object(donor, receiver)
    return _lockstep(donor, receiver, tuple(stages), frames, counterparts, policy, options)


def the_object(*sides: Side) -> int:
    """The one object that is prompted.

    Raises:
        PromptError: there are none, or several, or not on both sides the same.
    """
    ids = [{prompt.object_id for prompts in side.prompts.values() for prompt in prompts} for side in sides]
    if len(ids[0]) != 1 or any(others != ids[0] for others in ids):
        names = sorted(set().union(*ids))
        raise PromptError(f"patching follows one object, the same on both sides; the prompts name {names}")
    return next(iter(ids[0]))


def _lockstep(
    donor: Side,
    receiver: Side,
    stages: tuple[Stage, ...],
    frames: Callable[[int], bool] | None,
    counterparts: Callable[[int], Counterpart],
    policy: str,
    options: SessionOptions | None,
) -> Iterator[PatchStep]:
    activations = Activations()
    giving = Run(donor, Intervened(donor.model, activations.recorders(stages)), policy, options)
    encoded = EncodedOnce(receiver.model)
    taking = Run(receiver, Intervened(encoded.as_model), policy, options)
    patches = {stage: _Patch(stage, activations) for stage in stages}
    bare = Side(receiver.model, receiver.frame, receiver.num_frames, receiver.prompts)  # observers see one run
    patched = {
        stage: Run(bare, Intervened(encoded.as_model, {stage: patch}), policy, options)
        for stage, patch in patches.items()
    }
    given: FrameResult | None = None
    for t in range(receiver.num_frames):
        counterpart = giving.reach(counterparts(t))
        while counterpart.frame is not None and giving.frame_index < counterpart.frame:
            given = giving.step()
        picture = receiver.frame(t)
        chosen = frames is None or frames(t)
        for patch in patches.values():
            patch.begin(counterpart if chosen else None, (picture.shape[0], picture.shape[1]))
        yield PatchStep(
            t,
            counterpart,
            None if counterpart.frame is None else given,
            taking.step(picture),
            {stage: run.step(picture) for stage, run in patched.items()},
            {stage: patch.refused for stage, patch in patches.items() if patch.refused},
        )


class Run:
    """A tracker and its stand-in, which is told where the tracker is."""

    def __init__(self, side: Side, model: Intervened, policy: str, options: SessionOptions | None) -> None:
        self.side, self.model = side, model
        self.tracker = Tracker(model.as_model, policy, options, side.observers)

    @property
    def frame_index(self) -> int:
        """Of the frame at hand, -1 before the first."""
        return self.tracker.frame_index

    def reach(self, counterpart: Counterpart) -> Counterpart:
        """The same, or the reason why this run cannot get there."""
        if counterpart.frame is None:
            return counterpart
        if counterpart.frame < self.frame_index:
            return Counterpart(None, reason=BACKWARDS)
        return counterpart if counterpart.frame < self.side.num_frames else Counterpart(None, reason=BEYOND)

    def step(self, picture: RgbFrame | None = None) -> FrameResult:
        """The next frame; the picture may be given by who has it."""
        self.model.frame_index = t = self.frame_index + 1
        return self.tracker.step(self.side.frame(t) if picture is None else picture, self.side.prompts.get(t, ()))


class EncodedOnce(Intervened):
    """Encodes each frame once, for all runs that go through it in lockstep."""

    _encoded: tuple[int, ImageFeatures] | None = None

    def encode_image(self, images_fchw: Tensor) -> ImageFeatures:
        """As `SAM2.encode_image`."""
        if self._encoded is None or self._encoded[0] != self.frame_index:
            self._encoded = self.frame_index, self._model.encode_image(images_fchw)
        return self._encoded[1]


class _Patch:
    """Puts the donor's activations in place, call by call; leaves what has no counterpart, and says why."""

    def __init__(self, stage: Stage, donor: Activations) -> None:
        self.stage, self.donor = stage, donor
        self.refused = ""
        self._counterpart: Counterpart | None = None
        self._size_hw, self._calls = (0, 0), 0

    def begin(self, counterpart: Counterpart | None, size_hw: tuple[int, int]) -> None:
        """A new frame; without counterpart, one that is not to be patched."""
        self._counterpart, self._size_hw, self._calls, self.refused = counterpart, size_hw, 0, ""
        if counterpart is not None and counterpart.frame is None:
            self.refused = counterpart.reason

    def __call__(self, frame_index: int, output: Any) -> Any:
        counterpart = self._counterpart
        if counterpart is None or counterpart.frame is None:
            return output
        given = self.donor.at(self.stage, counterpart.frame)
        call, self._calls = self._calls, self._calls + 1
        try:
            if call >= len(given):
                raise CannotAlign(NOT_GIVEN)
            return in_place(given[call], output, counterpart, self._size_hw)
        except CannotAlign as error:
            self.refused = str(error)
            return output
