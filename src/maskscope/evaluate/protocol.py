"""Scores of a whole sequence: which frames and which objects count, and how frames become one number.

Benchmarks share J and F and differ in these rules, so a score without its protocol's name means little.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.evaluate.boundary import DAVIS_TOLERANCE, frame_boundary_f, tolerance_radius_px
from maskscope.evaluate.region import frame_region_similarity

logger = logging.getLogger(__name__)

_SUCCESS = 0.5
_BOTH_EMPTY = 1.0


@dataclass(frozen=True)
class Protocol:
    """Which frames, objects and pixels of a sequence count.

    Attributes:
        name: what records and tables call it.
        drops_ends: leave out the first frame (it is given) and the last one.
        late_objects: also score objects that are not on the first true mask.
        ignores_void: void pixels count for nothing; otherwise they are background.
        tolerance: outline distance of F, a share of the image diagonal.
        void_label: label of true pixels that belong to nobody.
    """

    name: str
    drops_ends: bool
    late_objects: bool
    ignores_void: bool
    tolerance: float = DAVIS_TOLERANCE
    void_label: int = 255


DAVIS = Protocol("davis", drops_ends=True, late_objects=False, ignores_void=False)
"""Semi-supervised DAVIS 2016 and 2017, as the official tool evaluates them."""

ALL_FRAMES = Protocol("all-frames", drops_ends=False, late_objects=True, ignores_void=True)
"""Every frame and every object that the truth ever shows, the first frame included."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({protocol.name: protocol for protocol in (DAVIS, ALL_FRAMES)})


@dataclass(frozen=True)
class Statistics:
    """One measure over frames: fractions in 0..1, decay in -1..1, lower is better. Never NaN."""

    mean: float
    recall: float
    decay: float

    @classmethod
    def of(cls, values: ArrayLike) -> Statistics:
        """Mean, share strictly above 0.5, and mean of the first quarter less mean of the last, as in DAVIS.

        Quarters share their border frames. Up to 256 frames this equals the official tool; beyond, the tool's frame
        numbers wrap around at 8 bits and its decay means nothing.

        Args:
            values: `(n_frames,)` scores of one object in order of time.

        Raises:
            MaskscopeError: no value, or one that is not a number.
        """
        scores = np.asarray(values, dtype=np.float64)
        if scores.ndim != 1 or scores.size == 0 or not np.isfinite(scores).all():
            raise MaskscopeError(f"statistics need one finite score or more in a row, got an array {scores.shape}")
        # The small addend sends halves up where numpy would send them to the even neighbour.
        borders = np.round(np.linspace(1, scores.size, 5) + 1e-10).astype(np.int64) - 1
        first, last = scores[borders[0] : borders[1] + 1], scores[borders[3] : borders[4] + 1]
        return cls(
            mean=float(scores.mean()),
            recall=float((scores > _SUCCESS).mean()),
            decay=float(first.mean() - last.mean()),
        )

    @classmethod
    def average(cls, parts: Sequence[Statistics]) -> Statistics:
        """Mean of each number, every part counted once.

        Raises:
            MaskscopeError: no part at all.
        """
        if not parts:
            raise MaskscopeError("there is nothing to average: no object was scored")
        return cls(*np.mean([(part.mean, part.recall, part.decay) for part in parts], axis=0).tolist())


@dataclass(frozen=True)
class SequenceScore:
    """J and F of each object on each frame that counts.

    Attributes:
        protocol: the rules these scores follow.
        object_ids: labels of the scored objects, ascending.
        frames: `(n_frames,)` int64 numbers of the frames that count, from 0.
        region: `(n_objects, n_frames)` float64 J in 0..1, 1 where prediction and truth both lack the object.
        boundary: the same of F.
    """

    protocol: Protocol
    object_ids: tuple[int, ...]
    frames: NDArray[np.int64]
    region: NDArray[np.float64]
    boundary: NDArray[np.float64]

    def object_region(self, object_id: int) -> Statistics:
        """J of one object over the frames that count."""
        return Statistics.of(self.region[self.object_ids.index(object_id)])

    def object_boundary(self, object_id: int) -> Statistics:
        """F of one object over the frames that count."""
        return Statistics.of(self.boundary[self.object_ids.index(object_id)])

    @property
    def j(self) -> Statistics:
        """J averaged over objects: DAVIS's J-Mean, J-Recall and J-Decay."""
        return Statistics.average([Statistics.of(row) for row in self.region])

    @property
    def f(self) -> Statistics:
        """F averaged over objects."""
        return Statistics.average([Statistics.of(row) for row in self.boundary])

    @property
    def j_and_f(self) -> float:
        """Mean of the two means, the headline number of DAVIS."""
        return (self.j.mean + self.f.mean) / 2


@dataclass(frozen=True)
class DatasetScore:
    """J and F over sequences, every object counted once however long its sequence."""

    protocol: Protocol
    num_objects: int
    j: Statistics
    f: Statistics

    @property
    def j_and_f(self) -> float:
        """Mean of the two means."""
        return (self.j.mean + self.f.mean) / 2


def evaluate_sequence(
    predictions: Iterable[ArrayLike], truths: Iterable[ArrayLike], protocol: Protocol | str = DAVIS
) -> SequenceScore:
    """Score label maps against the truth, frame by frame; both may be generators and are read once.

    Args:
        predictions: one `(H, W)` integer label map a frame, first frame included, 0 background; boolean is object 1.
        truths: as many, of the same size; the protocol's void label, 255, is no object.
        protocol: the rules, or their name in `PROTOCOLS`.

    Raises:
        ShapeError: another number of frames or another frame size.
        MaskscopeError: an unknown protocol, a mask that is no label map, no object or no frame that counts, or a
            predicted label that no true mask holds (it would count nowhere, unseen).
    """
    rules = _protocol(protocol)
    frame_scores: list[dict[int, tuple[float, float]]] = []
    true_labels: set[int] = set()
    first_labels: set[int] = set()
    first_use: dict[int, int] = {}
    for index, (predicted, true) in enumerate(_in_step(predictions, truths)):
        here = set(_labels(true)) - {rules.void_label}
        guessed = _labels(predicted)
        true_labels |= here
        if index == 0:
            first_labels = here
        for label in guessed:
            first_use.setdefault(label, index)
        wanted = here | set(guessed) if rules.late_objects else first_labels
        frame_scores.append(_score_frame(predicted, true, sorted(wanted & (here | set(guessed))), rules))

    for label, index in first_use.items():
        if label not in true_labels:
            raise MaskscopeError(
                f"frame {index} predicts label {label}, which no true mask holds (they hold {sorted(true_labels)})",
                "give predictions the truth's object labels and 0 elsewhere",
            )
    object_ids = tuple(sorted(true_labels if rules.late_objects else first_labels))
    if not object_ids:
        place = "true mask" if rules.late_objects else "first true mask"
        raise MaskscopeError(f"no object to score: no {place} holds a label other than 0 and {rules.void_label} (void)")
    if late := true_labels - set(object_ids):
        logger.info("protocol %s leaves out objects that appear later: %s", rules.name, sorted(late))
    frames = np.arange(len(frame_scores))[1:-1] if rules.drops_ends else np.arange(len(frame_scores))
    if frames.size == 0:
        raise MaskscopeError(
            f"protocol {rules.name} drops the first and the last frame, and the sequence has {len(frame_scores)}",
            f"give three or more, or use protocol {ALL_FRAMES.name}",
        )
    both_empty = (_BOTH_EMPTY, _BOTH_EMPTY)
    table = np.array([[frame_scores[frame].get(label, both_empty) for frame in frames] for label in object_ids])
    return SequenceScore(rules, object_ids, frames, region=table[..., 0], boundary=table[..., 1])


def summarise(scores: Iterable[SequenceScore]) -> DatasetScore:
    """One score of many sequences, averaged over their objects.

    Raises:
        MaskscopeError: no sequence, or sequences under different protocols.
    """
    scored = list(scores)
    protocols = {score.protocol for score in scored}
    if len(protocols) != 1:
        names = sorted(protocol.name for protocol in protocols)
        raise MaskscopeError(f"a mean is over sequences of one protocol, these have {names or 'none'}")
    region = [Statistics.of(row) for score in scored for row in score.region]
    boundary = [Statistics.of(row) for score in scored for row in score.boundary]
    return DatasetScore(protocols.pop(), len(region), Statistics.average(region), Statistics.average(boundary))


def _protocol(protocol: Protocol | str) -> Protocol:
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise MaskscopeError(f"protocol {protocol!r} is unknown", f"the known ones: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]


def _in_step(
    predictions: Iterable[ArrayLike], truths: Iterable[ArrayLike]
) -> Iterable[tuple[NDArray[np.integer], NDArray[np.integer]]]:
    """Pairs of checked label maps, and an error where one side ends first."""
    guesses, missing = iter(predictions), object()
    size: tuple[int, ...] | None = None
    count = 0
    for count, truth in enumerate(truths, start=1):
        guess = next(guesses, missing)
        if guess is missing:
            raise ShapeError(f"predictions and truth have as many frames, predictions end after {count - 1}")
        true = _label_map(truth, f"true mask of frame {count - 1}")
        predicted = _label_map(guess, f"prediction of frame {count - 1}")  # type: ignore[arg-type]  # is not `missing`
        size = size or true.shape
        if true.shape != size or predicted.shape != size:
            raise ShapeError(
                f"all masks have the first one's size {size}, frame {count - 1} has {true.shape} (truth) "
                f"and {predicted.shape} (prediction)",
                "resize predictions to the truth",
            )
        yield predicted, true
    if next(guesses, missing) is not missing:
        raise ShapeError(f"predictions and truth have as many frames, the truth ends after {count}")


def _label_map(labels: ArrayLike, role: str) -> NDArray[np.integer]:
    array = np.asarray(labels)
    if array.ndim != 2:
        raise ShapeError(f"a label map is (height, width), the {role} has shape {array.shape}")
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.integer):
        raise MaskscopeError(f"a label map is integer or boolean, the {role} is {array.dtype}", "threshold it first")
    return array


def _labels(labels_hw: NDArray[np.integer]) -> list[int]:
    """Labels other than background, ascending."""
    if labels_hw.dtype == np.uint8 and labels_hw.size:  # the usual case; counting is far faster than sorting pixels
        present = np.flatnonzero(cv2.calcHist([labels_hw], [0], None, [256], [0, 256]))
    else:
        present = np.unique(labels_hw)
    return [int(label) for label in present if label != 0]


def _score_frame(
    predicted: NDArray[np.integer], true: NDArray[np.integer], labels: list[int], rules: Protocol
) -> dict[int, tuple[float, float]]:
    """J and F by label."""
    height, width = true.shape
    radius_px = tolerance_radius_px(height, width, rules.tolerance)
    kept = true != rules.void_label if rules.ignores_void else None
    scores: dict[int, tuple[float, float]] = {}
    for label in labels:
        guess, truth = predicted == label, true == label
        if kept is not None:
            guess &= kept
        scores[label] = frame_region_similarity(guess, truth), frame_boundary_f(guess, truth, radius_px)
    return scores
