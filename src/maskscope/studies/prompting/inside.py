"""What a prompt does inside: separation where prompt and picture meet, with memory, with a prompt, and with both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from maskscope.observe.measures.separation import Separation
from maskscope.observe.probe import Probe
from maskscope.observe.reading import Reading
from maskscope.records import Record
from maskscope.stages import Stage
from maskscope.studies.jobs import Tick
from maskscope.studies.prompting.clicks import box_of, click_in
from maskscope.studies.prompting.following import Following
from maskscope.studies.prompting.footage import Footage
from maskscope.studies.prompting.rows import RowMaker
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt

ASKED_FRAMES: Final = 5
"""Frames on which prompts are tried beside memory, evenly over the clip behind its first quarter."""
MEMORY_ALONE: Final = "memory alone"
SHOWN: Final = frozenset({"separation_auc", "fisher_ratio"})

_STAGE: Final[Stage] = "prompt_attended"
_OBJECT: Final = 1


def inside(footage: Footage, policy: str, make: RowMaker, tick: Tick) -> Iterator[Record]:
    """Track from the mask of the first frame; on some frames also ask prompts, with memory and with none.

    J, F and separation at `prompt_attended` of "memory alone", of each prompt "alone" (no memory is read) and "with
    memory"; a mask is adopted as it is, so that memory has no part in it. The read-out is fitted where the undisturbed
    passage first may, on the frame behind the first, and is the same for all of them, so that figures are of one kind.
    Nothing that is asked stays in memory.
    """
    separation = Separation(prompted_frames=(0,))
    probe = _probe(footage, separation)
    following = Following(footage, policy, observers=[partial(_only_here, probe)])
    following.prompt(0, [Prompt(_OBJECT, mask=footage.truth(0))])
    asked = asked_frames(footage)
    for t in range(asked[-1] + 1 if asked else 0):
        tick()
        answer = following.advance(t)[_OBJECT]
        readings = probe.drain()
        if t not in asked:
            continue
        row = make.named("inside", MEMORY_ALONE)
        yield from make.frame(row, t, answer)
        yield from _rows(row, readings)
        for name, prompt in _prompts(footage, t).items():
            for memory in ("alone",) if prompt.mask is not None else ("alone", "with memory"):
                fitted = Separation(readouts=separation.readouts, elsewhere=separation.elsewhere)
                told = _probe(footage, fitted)
                where = following if memory == "with memory" else Following(footage, policy)
                answer = where.ask(t, prompt, partial(_only_here, told))
                row = make.named("inside", f"{name} {memory}")
                yield from make.frame(row, t, answer)
                yield from _rows(row, told.drain())


def asked_frames(footage: Footage) -> list[int]:
    """Frames behind the first that show the object, `ASKED_FRAMES` of them or as many as there are."""
    first = max(2, footage.num_frames // 4)  # the read-out is fitted on frame 1
    shown = [t for t in range(first, footage.num_frames) if footage.can_be_prompted(t)]
    places = np.linspace(0, len(shown) - 1, min(ASKED_FRAMES, len(shown))).round().astype(int)
    return [shown[place] for place in places]


def _prompts(footage: Footage, t: int) -> dict[str, Prompt]:
    truth = footage.truth(t)
    x, y = click_in(truth)
    return {
        "1 click": Prompt(_OBJECT, [(float(x), float(y))]),
        "box": Prompt(_OBJECT, box_xyxy_px=box_of(truth)),
        "mask": Prompt(_OBJECT, mask=truth),
    }


def _probe(footage: Footage, separation: Separation) -> Probe:
    memory_dim = footage.model.config.memory.dim
    return Probe([separation], lambda t: {_OBJECT: footage.truth(t)}, memory_dim=memory_dim, valid=footage.known)


def _only_here(probe: Probe, observation: Observation) -> None:
    if observation.stage == _STAGE:
        probe(observation)


def _rows(row: Callable[..., Record], readings: Sequence[Reading]) -> Iterator[Record]:
    for reading in readings:
        if reading.metric in SHOWN:
            yield row(
                metric=reading.metric,
                value=reading.value,
                state=reading.state,
                stage=reading.stage,
                frame=reading.frame,
            )
