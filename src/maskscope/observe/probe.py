"""An observer that reduces what it is shown to readings at once, and keeps nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from maskscope.errors import PromptError
from maskscope.observe.grid import Regions
from maskscope.observe.reading import Reading
from maskscope.observe.taps import Tapped
from maskscope.stages import Stage
from maskscope.tracking.observer import Observation, Observer
from maskscope.tracking.tracker import Tracker
from maskscope.tracking.video_tracker import VideoTracker

Masks = Mapping[int, NDArray[np.bool_]]
Truth = Callable[[int], Masks | None]
"""Frame index -> (H, W) bool of each object, an empty one where it is absent; None where nothing is known."""
Picture = Callable[[int], NDArray[np.uint8] | None]
"""Frame index -> (H, W, 3) uint8."""
Valid = Callable[[int], NDArray[np.bool_] | None]
"""Frame index -> (H, W) bool, False where there is no truth; None where all of it is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One object at one place inside the model, on one frame: what a measure is shown.

    Attributes:
        stage: observation position.
        tap: finer place inside it, empty for the position itself.
        frame: position in the video.
        object: its number; None where no object is known of a feature map that all share.
        features: (c, h, w), or (c,) of `object_pointer`. Not to be changed, nor kept without need.
        regions: the object on the grid of the features; None for a vector, or without truth.
        mask_hw: (H, W) bool, the truth; None without.
        picture_hwc: (H, W, 3) uint8, the frame; None without.
    """

    stage: Stage
    tap: str
    frame: int
    object: int | None
    features: Tensor
    regions: Regions | None = None
    mask_hw: NDArray[np.bool_] | None = None
    picture_hwc: NDArray[np.uint8] | None = None

    def reading(self, metric: str, value: float | None = None, state: str | None = None) -> Reading:
        """A reading of this object, here and now."""
        return Reading(
            metric=metric,
            value=value,
            state=state,
            stage=self.stage,
            tap=self.tap,
            frame=self.frame,
            object=self.object,
        )


class Measure(Protocol):
    """Reduces features to readings, one sight after the other; may remember what is small."""

    def see(self, sight: Sight) -> Iterable[Reading]:
        """What there is to say of this sight; nothing for stages it does not measure."""
        ...


class Probe:
    """Shows measures what a tracker's observers are told, object by object, and keeps the readings.

    Of an object that is told twice on one frame (a memory policy with several pathways; a correction), the first
    counts: the best pathway. Features that all objects share are shown once for each object of the truth.

    Args:
        measures: asked in this order.
        truth: the masks; without, measures that need regions say nothing. What stands in for missing truth (the clean
            run's own masks) is given here too, and labelled by who gives it.
        memory_dim: `model.config.memory.dim`. Models with an appearance key write it behind the memory's channels;
            it is cut off.
        picture: the frames, for baselines on their colours.
        valid: where there is truth.
        sink: is handed every sight as well, to keep features, say. They are views, and lost unless copied.

    Attributes:
        readings: all so far, in the order in which they were made.

    Example:
        >>> probe = Probe([Separation()], truth, memory_dim=model.config.memory.dim)
        >>> with attached(tracker, probe):
        ...     for frame in frames:
        ...         tracker.step(frame)
        >>> probe.readings
    """

    def __init__(
        self,
        measures: Sequence[Measure],
        truth: Truth | None = None,
        *,
        memory_dim: int,
        picture: Picture | None = None,
        valid: Valid | None = None,
        sink: Callable[[Sight], None] | None = None,
    ) -> None:
        self.measures = list(measures)
        self.readings: list[Reading] = []
        self._truth, self._picture, self._valid, self._sink = truth, picture, valid, sink
        self._memory_dim = memory_dim
        self._scene: _Scene | None = None

    def __call__(self, observation: Observation | Tapped) -> None:
        """Measure one position, or one tap, of some objects."""
        tap = ""
        stage: Stage
        if isinstance(observation, Tapped):
            tap, stage = observation.tap.name, observation.tap.stage
        else:
            stage = observation.stage
        scene = self._scene
        if scene is None or scene.frame != observation.frame_index:
            scene = self._scene = self._look_at(observation.frame_index)
        output = observation.output.detach()
        if stage == "memory_features":
            output = output[:, : self._memory_dim]
        shared = not observation.object_ids
        ids: tuple[int | None, ...] = scene.objects if shared else observation.object_ids
        for row, object_id in enumerate(ids):
            if (stage, tap, object_id) in scene.told:
                continue
            scene.told.add((stage, tap, object_id))
            self._show(scene.sight(stage, tap, object_id, output[0 if shared else row]))

    def drain(self) -> list[Reading]:
        """The readings so far, which are then forgotten here; for long streams."""
        drained, self.readings = self.readings, []
        return drained

    def _show(self, sight: Sight) -> None:
        if self._sink is not None:
            self._sink(sight)
        for measure in self.measures:
            self.readings.extend(measure.see(sight))

    def _look_at(self, frame_index: int) -> _Scene:
        return _Scene(
            frame_index,
            self._truth(frame_index) if self._truth else None,
            self._picture(frame_index) if self._picture else None,
            self._valid(frame_index) if self._valid else None,
        )


@dataclass(slots=True, eq=False)
class _Scene:
    """The frame at hand: what is known of it, and what was told already."""

    frame: int
    masks: Masks | None
    picture_hwc: NDArray[np.uint8] | None
    valid_hw: NDArray[np.bool_] | None
    told: set[tuple[Stage, str, int | None]] = field(default_factory=set)
    regions: dict[tuple[int, tuple[int, int]], Regions] = field(default_factory=dict)

    @property
    def objects(self) -> tuple[int | None, ...]:
        """Of whom shared features are measured."""
        return tuple(self.masks) if self.masks else (None,)

    def sight(self, stage: Stage, tap: str, object_id: int | None, features: Tensor) -> Sight:
        """What is known of the object, beside its features (c, h, w) or (c,)."""
        mask = self.masks.get(object_id) if self.masks and object_id is not None else None
        regions = None
        if mask is not None and object_id is not None and features.ndim == 3:
            grid = (features.shape[1], features.shape[2])
            if (object_id, grid) not in self.regions:
                self.regions[object_id, grid] = Regions.of(mask, grid, self.valid_hw)
            regions = self.regions[object_id, grid]
        return Sight(stage, tap, self.frame, object_id, features, regions, mask, self.picture_hwc)


@contextmanager
def attached(tracker: Tracker | VideoTracker, *observers: Observer) -> Iterator[None]:
    """Let observers listen to a tracker for a while; afterwards, also after an exception, it has those it had before.

    Example:
        >>> with attached(tracker, probe):
        ...     result = tracker.step(frame)
    """
    try:
        for heard in _lists_of(tracker):
            heard.extend(observers)
        yield
    finally:
        for heard in _lists_of(tracker):
            for observer in observers:
                if observer in heard:
                    heard.remove(observer)


def _lists_of(tracker: Tracker | VideoTracker) -> list[list[Observer]]:
    """A stream hands its observers to the session that its first frame starts; a video has its session at once."""
    lists = [tracker.observers] if isinstance(tracker, Tracker) else []
    with suppress(PromptError):
        lists.append(tracker.session.observers)
    return lists
