"""One pass of a tracker over a clip, as numbers: small enough to keep, so that an interrupted run goes on from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.evaluate.region import frame_region_similarity
from maskscope.model import SAM2
from maskscope.model.mask_decoder import upsample_logits
from maskscope.picture.course import Course, way_of
from maskscope.picture.frame import frame_measures
from maskscope.records import write_whole
from maskscope.tracking.picture import input_size, mask_tensor
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.transforms.base import Clip, ClipFrame

LOST_J: Final = 0.5
"""Below it an object that is seen counts as lost, as everywhere in the studies."""

MEASURED_FRAMES: Final = 4
"""Of a pass, on which the picture is measured; the course over time is measured on all."""

_LEAST_PROMPT_PX: Final = 16


class Stopped(Exception):
    """The user asked to stop; what was finished is kept."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One object on one frame of a pass.

    Attributes:
        frame: number in the clip as the tracker saw it.
        moment: frame of the clip that was shown; None for foreign pictures.
        object: its number.
        visible: truth shows it.
        j: of the mask as reported, 0..1; 0 where truth does not show it.
        shown_j: of the mask that a lower threshold would have shown.
        score: object score logit.
        motion: way of its true centre since the frame before, in its sizes; None where not seen twice.
    """

    frame: int
    moment: int | None
    object: int
    visible: bool
    j: float
    shown_j: float
    score: float
    motion: float | None

    @property
    def lost(self) -> bool:
        """Seen in truth, and not found."""
        return self.visible and self.j < LOST_J


@dataclass(frozen=True)
class PassResult:
    """What a pass came to.

    Attributes:
        seen: by frame, then object; without the frames on which an object was given.
        picture: median of each measure of the picture over some frames, by name.
        frames: tracked.
        facts: what else the work that made it wants to keep, JSON values.
    """

    seen: tuple[Seen, ...]
    picture: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def motion(self) -> float | None:
        """Median way of the objects from frame to frame, in their sizes."""
        known = [each.motion for each in self.seen if each.motion is not None]
        return float(median(known)) if known else None

    def at_moments(self, moment: Callable[[int], int]) -> PassResult:
        """The same where frame t of the clip that was tracked shows frame `moment(t)` of the clip as it is."""
        return replace(
            self,
            seen=tuple(
                each if each.moment is None else replace(each, moment=moment(each.moment)) for each in self.seen
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        rows = [[getattr(each, name) for name in Seen.__slots__] for each in self.seen]
        return {"seen": rows, "picture": self.picture, "frames": self.frames, "facts": self.facts}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> PassResult:
        """The inverse of `to_json`."""
        return cls(tuple(Seen(*row) for row in plain["seen"]), plain["picture"], plain["frames"], plain["facts"])


@dataclass
class PassStore:
    """Finished passes of one request, a file each.

    Args:
        folder: for the files; made when the first is written.
        request: digest of all that decides them; a file of another request is not used.
        tick: (stage, frame is done) told after every frame.
        stop: asked after every frame.
    """

    folder: Path
    request: str
    tick: Callable[[str, int], None]
    stop: Callable[[], bool]
    made: dict[str, PassResult] = field(default_factory=dict)
    taken_over: int = 0

    def get(self, name: str, make: Callable[[Callable[[], None]], PassResult]) -> PassResult:
        """The pass of this name, made before, from its file, or made now.

        Args:
            name: what records call its condition and policy.
            make: makes it; calls what it is given after every frame.

        Raises:
            Stopped: the user asked to stop.
            OutputError: its file cannot be written.
        """
        if name in self.made:
            return self.made[name]
        path = self.folder / f"{hashlib.sha256(f'{self.request} {name}'.encode()).hexdigest()[:20]}.json"
        found = self._read(path)
        if found is not None:
            self.taken_over += 1
            self.tick(name, found.frames)
        else:
            found = make(lambda: self.step(name))
            write_whole(path, json.dumps({"name": name, **found.to_json()}).encode())
        self.made[name] = found
        return found

    def step(self, name: str) -> None:
        """One more frame is done."""
        self.tick(name, 1)
        if self.stop():
            raise Stopped

    @staticmethod
    def _read(path: Path) -> PassResult | None:
        try:
            return PassResult.from_json(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def follow(
    model: SAM2,
    policy: str,
    clip: Clip,
    stretch: Sequence[int],
    prompts: Sequence[Prompt],
    objects: Sequence[int],
    done: Callable[[], None],
) -> PassResult:
    """Track a stretch of a clip from its first frame on and compare with the clip's own masks.

    Args:
        model: that tracks.
        policy: of memory.
        clip: with true masks.
        stretch: frames in the order in which they are shown.
        prompts: on the first of them.
        objects: to be compared.
        done: called after every frame.
    """
    tracker = Tracker(model, policy, SessionOptions(num_frames=len(stretch)))
    view = View(objects, input_size(model.config, *clip.size))
    measured = set(np.linspace(0, len(stretch) - 1, MEASURED_FRAMES).round().astype(int).tolist())
    seen: list[Seen] = []
    for number, index in enumerate(stretch):
        frame = clip.at(index)
        result = tracker.step(frame.image_hwc, prompts if number == 0 else ())
        rows = view.rows(index, index, frame, result)
        seen += rows if number else ()
        view.look(frame, number in measured)
        done()
    return PassResult(tuple(seen), view.picture(), len(stretch))


@dataclass
class View:
    """Compares results with truth, and looks at the pictures on the way.

    Args:
        objects: to be compared.
        model_size: (height, width) of the model's input.
    """

    objects: Sequence[int]
    model_size: tuple[int, int]
    course: Course = field(default_factory=Course)
    measures: list[dict[str, float]] = field(default_factory=list)
    _places: dict[int, tuple[float, float, float] | None] = field(default_factory=dict)

    def rows(self, number: int, moment: int | None, frame: ClipFrame, result: FrameResult) -> list[Seen]:
        """One row for each object of the result."""
        rows = []
        masks = dict(zip(result.object_ids, result.masks, strict=True))
        for object_id in self.objects:
            truth = frame.visible_hw == object_id
            place = _place(truth)
            motion = way_of(self._places.get(object_id), place)
            self._places[object_id] = place
            if object_id not in masks:
                continue
            said = result.objects[object_id]
            mask, shown = masks[object_id], masks[object_id]
            if said.object_score_logit <= 0:
                logits = upsample_logits(said.chosen_logits_hw[None, None].float(), result.video_size)[0, 0]
                shown = (logits > 0).cpu().numpy()
            if frame.void_hw is not None:
                truth, mask, shown = truth & ~frame.void_hw, mask & ~frame.void_hw, shown & ~frame.void_hw
            visible = bool(truth.any())
            j = frame_region_similarity(mask, truth) if visible else 0.0
            shown_j = j if shown is mask or not visible else frame_region_similarity(shown, truth)
            score = float(said.object_score_logit)
            rows.append(Seen(number, moment, object_id, visible, float(j), float(shown_j), score, motion))
        return rows

    def look(self, frame: ClipFrame, measure: bool) -> None:
        """Take a frame's picture: its course always, the measures of the frame where asked."""
        there = np.isin(frame.visible_hw, list(self.objects))
        self.course.add(frame.image_hwc, there)
        if measure:
            self.measures.append(frame_measures(frame.image_hwc, there, self.model_size))

    def picture(self) -> dict[str, float]:
        """Median of each measure, and the course's own."""
        found = medians(self.measures)
        motions = [each for each in self.course.motion() if each is not None]
        if motions:
            found["motion.object"] = float(median(motions))
        for place, swing in (("object", self.course.flicker()), ("background", self.course.flicker(background=True))):
            if swing is not None:
                found[f"flicker.{place}"] = swing
        return found


def medians(measured: Iterable[dict[str, float]]) -> dict[str, float]:
    """Median of each measure over the frames that have it."""
    several = list(measured)
    names = dict.fromkeys(name for each in several for name in each)
    return {name: float(median(each[name] for each in several if name in each)) for name in names}


def mask_prompts(model: SAM2, frame: ClipFrame, objects: Iterable[int]) -> list[Prompt]:
    """The objects that this frame shows, given by their masks; without those that are too small to be given."""
    size = input_size(model.config, *frame.visible_hw.shape)
    found = []
    for object_id in objects:
        mask: NDArray[np.bool_] = np.asarray(frame.visible_hw == object_id)
        if np.count_nonzero(mask) < _LEAST_PROMPT_PX:
            continue
        if mask_tensor(mask, size, torch.device("cpu"), torch.float32).any():
            found.append(Prompt(object_id, mask=mask))
    return found


def _place(mask_hw: NDArray[np.bool_]) -> tuple[float, float, float] | None:
    rows, columns = np.nonzero(mask_hw)
    return (float(columns.mean()), float(rows.mean()), float(rows.size)) if rows.size else None
