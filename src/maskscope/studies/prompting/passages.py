"""Trials that go through a clip once, all together: kinds, densities, jitter, and wrong prompts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from maskscope.records import Record
from maskscope.studies.jobs import Tick
from maskscope.studies.prompting.following import Following
from maskscope.studies.prompting.footage import Footage
from maskscope.studies.prompting.rows import RowMaker
from maskscope.studies.prompting.saying import say
from maskscope.studies.prompting.trials import Trial

TOGETHER = 12
"""Trials tracked as one batch at most; more are slower on a CPU, and take memory."""


def passages(footage: Footage, policy: str, trials: Sequence[Trial], make: RowMaker, tick: Tick) -> Iterator[Record]:
    """Rows of each trial and frame, then how often and how long its user spoke.

    A trial that cannot be done, such as marking a neighbour where there is none, is a row with a state.
    """
    for begin in range(0, len(trials), TOGETHER):
        yield from _passage(footage, policy, dict(enumerate(trials[begin : begin + TOGETHER], start=1)), make, tick)


def _passage(footage: Footage, policy: str, trials: dict[int, Trial], make: RowMaker, tick: Tick) -> Iterator[Record]:
    following = Following(footage, policy)
    rows = {i: make.of(trial) for i, trial in trials.items()}
    seconds: dict[int, float] = defaultdict(float)
    times: dict[int, int] = defaultdict(int)
    for t in range(footage.num_frames):
        tick()
        due = {i: trial for i, trial in trials.items() if t == 0 or (trial.every and t % trial.every == 0)}
        if due and footage.can_be_prompted(t):
            for i, said in say(following, t, due).items():
                if said.answer is None:
                    yield rows[i](metric="prompts", state=said.missing)
                    del trials[i]
                    continue
                times[i] += 1
                extra = len(said.clicks)
                seconds[i] += make.time.prompt(trials[i].kind, extra)
        if not trials:
            return
        answers = following.advance(t)
        for i in trials:
            yield from make.frame(rows[i], t, answers[i])
    for i in trials:
        yield rows[i](metric="prompts", value=float(times[i]))
        yield rows[i](metric="human_seconds", value=seconds[i])
