"""Rows of results from what runs under observation say."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol

import torch

from maskscope import __version__
from maskscope.model import SAM2
from maskscope.observe.blame import Blame
from maskscope.observe.losses import Loss, LossRule, Successes, losses_of
from maskscope.observe.measures.onset import Resampling, onset, rows_of
from maskscope.observe.measures.separation import place_of
from maskscope.observe.reading import Reading
from maskscope.observe.taps import taps_of
from maskscope.records import Record
from maskscope.studies.observed_run import Scored
from maskscope.studies.run_facts import weights_hash

ANNOTATED, CLEAN_RUN = "truth: annotated", "truth: clean run"
"""The protocol of rows: what masks are compared with, given ones or the undisturbed run's own."""

BLOCK_FRAMES: Final = 10  # neighbours resemble each other; so many are drawn together
RESAMPLES: Final = 500
UNMEASURABLE: Final = ("absent", "lost at this stride", "fills the frame")


class MakeRecord(Protocol):
    """A record of some columns, the others are known."""

    def __call__(self, **columns: Any) -> Record:
        """The row."""
        ...


def record_maker(run: str, clip: str, model: SAM2, name: str, policy: str, annotated: bool) -> MakeRecord:
    """Makes records of one clip that was observed with one model."""
    provenance = {
        "maskscope": __version__,
        "torch": torch.__version__,
        "weights_sha256": weights_hash(model),
        "precision": str(model.heavy_dtype).removeprefix("torch."),
        "device": model.device.type,
        "image_size": list(model.config.image_size),
    }
    return partial(
        Record,
        run=run,
        clip=clip,
        model=name,
        policy=policy,
        protocol=ANNOTATED if annotated else CLEAN_RUN,
        provenance=json.dumps(provenance, sort_keys=True),
    )


def run_name(request: Any) -> str:
    """Identity of a computation: the same for the same request."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()[:16]


def rows_of_readings(readings: Iterable[Reading], record: MakeRecord) -> Iterator[Record]:
    """One row each."""
    return (record(**{name: getattr(reading, name) for name in reading.__slots__}) for reading in readings)


class Scores(Protocol):
    """What is known of how well a run did."""

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Its objects."""
        ...

    @property
    def scored(self) -> Sequence[Scored]:
        """Each object on each frame."""
        ...


def rows_of_scores(run: Scores, record: MakeRecord) -> Iterator[Record]:
    """`j` (a state where truth does not show the object) and `outcome` of each frame and object, and the losses."""
    for each in run.scored:
        state = None if each.j is not None else each.outcome.name
        yield record(metric="j", value=each.j, state=state, frame=each.frame, object=each.object)
        yield record(metric="outcome", state=each.outcome.name, frame=each.frame, object=each.object)
    for loss in losses(run):
        yield record(
            metric="loss",
            value=float(len(loss.frames)),
            state=loss.kind,
            frame=loss.first,
            object=loss.object,
        )


def losses(run: Scores, rule: LossRule | None = None) -> list[Loss]:
    """When the run lost which object."""
    found: list[Loss] = []
    for number in run.object_ids:
        mine = [each for each in run.scored if each.object == number]
        absent = frozenset(each.frame for each in mine if each.j is None)
        found += losses_of(Successes({}, {each.frame: each.success for each in mine}, {}, absent), number, rule)
    return found


def rows_of_blame(found: Iterable[Blame], record: MakeRecord) -> Iterator[Record]:
    """What `Blame.readings` says, and `blame_reason`, whose state is a sentence, at the first frame of each loss."""
    for each in found:
        yield from rows_of_readings(each.readings(), record)
        yield record(metric="blame_reason", state=each.reason, frame=each.loss.first, object=each.loss.object)


def rows_of_onset(readings: list[Reading], model: SAM2, record: MakeRecord) -> Iterator[Record]:
    """`onset` with `onset_p`, `onset_earliest` and `onset_latest`; none where separation is not known at all taps."""
    taps = taps_of(model)
    places = [place_of(tap.stage, tap.name) for tap in taps]
    values = rows_of(readings, places)
    if len(values) < 2:
        yield record(metric="onset", state="not determined")
        return
    found = onset(values, places, Resampling(block=BLOCK_FRAMES, resamples=RESAMPLES))
    at = {place: {"stage": tap.stage, "tap": tap.name} for place, tap in zip(places, taps, strict=True)}
    yield record(metric="onset_p", value=found.p)
    if found.tap is None or found.earliest is None or found.latest is None:
        yield record(metric="onset", state=found.state)
        return
    yield record(metric="onset", value=found.rise, **at[found.tap])
    yield record(metric="onset_earliest", state="ok", **at[found.earliest])
    yield record(metric="onset_latest", state="ok", **at[found.latest])


def notes_on(readings: Iterable[Reading], object_ids: Iterable[int]) -> list[str]:
    """Why separation of an object was measured nowhere, in a sentence each."""
    states: dict[int, Counter[str]] = {number: Counter() for number in object_ids}
    measured: set[int] = set()
    for reading in readings:
        if reading.metric != "separation_auc" or reading.stage != "image_embedding" or reading.tap:
            continue
        if reading.object in states and reading.state in UNMEASURABLE:
            states[reading.object][reading.state] += 1
        elif reading.object is not None:
            measured.add(reading.object)
    said = {
        "absent": "is not in the picture",
        "lost at this stride": "is too small for the model's grid: it covers less than a tenth of any cell",
        "fills the frame": "fills the frame: there is no background to tell it from",
    }
    return [
        f"Object {number} {said[counted.most_common(1)[0][0]]}, so its separation cannot be measured."
        for number, counted in states.items()
        if number not in measured and counted
    ]
