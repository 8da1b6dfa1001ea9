"""Scores of whole sequences under a benchmark's rules, and of data sets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat

from maskscope.errors import MaskscopeError, ShapeError
from maskscope.evaluate.frames import FrameObjects, MaskFrame
from maskscope.evaluate.rules import ALL_FRAMES, DAVIS, LVOS, MOSE, PROTOCOLS, SAV, YTVOS, Protocol, find_protocol
from maskscope.evaluate.scores import (
    DatasetScore,
    Group,
    ObjectScore,
    SequenceScore,
    Statistics,
    average_adaptive,
)
from maskscope.evaluate.tally import Tally, name_objects

__all__ = [
    "ALL_FRAMES",
    "DAVIS",
    "LVOS",
    "MOSE",
    "PROTOCOLS",
    "SAV",
    "YTVOS",
    "DatasetScore",
    "Protocol",
    "SequenceScore",
    "Statistics",
    "evaluate_sequence",
    "summarise",
]

logger = logging.getLogger(__name__)


def evaluate_sequence(
    predictions: Iterable[MaskFrame | None] | None,
    truths: Iterable[MaskFrame],
    protocol: Protocol | str = DAVIS,
    *,
    name: str = "",
    frame_numbers: Sequence[int] | None = None,
    objects: Mapping[int, range | None] | None = None,
) -> SequenceScore:
    """Score predictions against the truth, frame by frame; both may be generators and are read once.

    Args:
        predictions: one frame for each true one, first frame included: a `(H, W)` integer label map, 0 background
            (boolean is object 1), or object -> `(H, W)` mask. None stands for a frame that was not predicted, which
            is no matter where the frame does not count; instead of all frames it stands for the whole sequence.
        truths: as many, of the same size; the protocol's void label, 255, is no object. In masks by object, one that
            is left out is not annotated on that frame, and the frame does not count for it.
        protocol: the rules, or their name in `PROTOCOLS`.
        name: the sequence's.
        frame_numbers: numbers of the true frames in the video, for protocols that take every so many; 0, 1, 2 ... .
        objects: what the data set's metadata says instead of the masks: which objects there are and, unless None, the
            numbers of the frames in which each is evaluated.

    Raises:
        ShapeError: another number of frames or another frame size.
        MaskscopeError: an unknown protocol, a mask that is no label map, no object or no frame that counts, or a
            prediction that lacks something the protocol does not forgive, or has an object that truth lacks.
    """
    rules = find_protocol(protocol)
    if predictions is None and rules.missing_sequences == "refuse":
        raise MaskscopeError(f"protocol {rules.name} wants every sequence predicted, {name or 'this one'} is not")
    tally = Tally(rules, objects)
    frames: Iterable[MaskFrame | None] = repeat(None) if predictions is None else predictions
    for predicted, true in _in_step(frames, truths, rules.void_label, endless=predictions is None):
        tally.add(predicted, true)
    numbers = range(tally.num_frames) if frame_numbers is None else frame_numbers
    if len(numbers) != tally.num_frames:
        raise ShapeError(f"there are {len(numbers)} frame numbers for {tally.num_frames} true masks")

    counted = {number: tally.counted(number, numbers) for number in tally.objects()}
    if not counted:
        place = "true mask" if rules.objects == "all" else "first true mask"
        void = f"0 and {rules.void_label} (void)" if rules.void_label is not None else "0"
        raise MaskscopeError(f"no object to score: no {place} holds a label other than {void}")
    if not any(counted.values()):
        raise MaskscopeError(
            f"protocol {rules.name} counts {rules.about}: of the sequence's {tally.num_frames} frames none is left",
            f"use protocol {ALL_FRAMES.name}",
        )
    never = [number for number, indices in counted.items() if not indices]
    notes = [
        f"{name_objects(never)} on no frame that counts, and left out" if never else "",
        tally.note_late_objects(),
        tally.note_strangers(counted),
    ]
    if predictions is None:
        notes.append(f"not predicted, counted as {'0' if rules.missing_sequences == 'zero' else 'empty'}")
    else:
        notes.append(tally.note_missing(counted))
    said = tuple(note for note in notes if note)
    for note in said:
        logger.info("%s: %s", name or "sequence", note)
    scores = [
        tally.score(number, indices, predicted=predictions is not None)
        for number, indices in counted.items()
        if indices
    ]
    return SequenceScore(rules, tuple(scores), name, said)


def summarise(scores: Iterable[SequenceScore], *, is_unseen: Callable[[str, int], bool] | None = None) -> DatasetScore:
    """One score of many sequences, averaged over their objects.

    Args:
        scores: of one protocol.
        is_unseen: whether an object, of a sequence by name, is of a category unseen in training; without it a protocol
            that averages over seen and unseen falls back to the mean over objects, and says so.

    Raises:
        MaskscopeError: no sequence, or sequences under different protocols.
    """
    scored = list(scores)
    protocols = {score.protocol for score in scored}
    if len(protocols) != 1:
        names = sorted(protocol.name for protocol in protocols)
        raise MaskscopeError(f"a mean is over sequences of one protocol, these have {names or 'none'}")
    rules = protocols.pop()
    objects = [(score.name, each) for score in scored for each in score.objects]
    adaptive = average_adaptive([each for _, each in objects])
    everything = _group("all", [each for _, each in objects])
    if not rules.averages_unseen:
        return DatasetScore(rules, len(objects), everything.j, everything.f, adaptive)
    groups: tuple[Group, ...] = ()
    if is_unseen is not None:
        split: dict[str, list[ObjectScore]] = {"seen": [], "unseen": []}
        for name, each in objects:
            split["unseen" if is_unseen(name, each.object_id) else "seen"].append(each)
        groups = tuple(_group(kind, members) for kind, members in split.items() if members)
    if len(groups) == 2:
        j, f = Statistics.average([group.j for group in groups]), Statistics.average([group.f for group in groups])
        return DatasetScore(rules, len(objects), j, f, adaptive, groups)
    note = f"{rules.name} averages over seen and unseen categories, here it is the plain mean over objects: " + (
        f"all of them are {groups[0].name}" if groups else "nothing says which are unseen"
    )
    return DatasetScore(rules, len(objects), everything.j, everything.f, adaptive, groups, (note,))


def _group(name: str, members: Sequence[ObjectScore]) -> Group:
    j, f = Statistics.average([each.j for each in members]), Statistics.average([each.f for each in members])
    return Group(name, len(members), j, f)


def _in_step(
    predictions: Iterable[MaskFrame | None], truths: Iterable[MaskFrame], void_label: int | None, endless: bool
) -> Iterator[tuple[FrameObjects | None, FrameObjects]]:
    """Pairs of checked frames, and an error where one side ends first."""
    guesses, ended = iter(predictions), object()
    size: tuple[int, int] | None = None
    count = 0
    for count, truth in enumerate(truths, start=1):
        guess = next(guesses, ended)
        if guess is ended:
            raise ShapeError(f"predictions and truth have as many frames, predictions end after {count - 1}")
        true = FrameObjects.read(truth, f"true mask of frame {count - 1}", void_label)
        predicted = None
        if guess is not None:
            predicted = FrameObjects.read(guess, f"prediction of frame {count - 1}")  # type: ignore[arg-type]
        size = size or true.size_hw
        if {true.size_hw, predicted.size_hw if predicted else size} != {size}:
            raise ShapeError(
                f"all masks have the first one's size {size}, frame {count - 1} has {true.size_hw} (truth) "
                f"and {predicted.size_hw if predicted else 'nothing'} (prediction)",
                "resize predictions to the truth",
            )
        yield predicted, true
    if not endless and next(guesses, ended) is not ended:
        raise ShapeError(f"predictions and truth have as many frames, the truth ends after {count}")
