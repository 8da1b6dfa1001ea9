"""Simulated users who look at the result and correct it, by the SAM 2 protocol (arXiv 2408.00714, appendix E.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from maskscope.records import Record
from maskscope.studies.jobs import Tick
from maskscope.studies.prompting.clicks import Click
from maskscope.studies.prompting.following import Following
from maskscope.studies.prompting.footage import Footage
from maskscope.studies.prompting.rows import RowMaker
from maskscope.studies.prompting.saying import say
from maskscope.studies.prompting.trials import Trial

CLICKS: Final = 3
"""On each frame that is spoken of."""
MOST_FRAMES: Final = 8
"""That are spoken of, the first one included."""
PAUSE_BELOW: Final = 0.75
"""IoU at which the online user stops and corrects."""
MOST_CLICKS: Final = 20
"""On a picture; who needs more has failed, and counts as this many."""
TARGETS: Final = (0.85, 0.90)

_USER: Final = Trial("kind", "user", "clicks", CLICKS)


def offline(footage: Footage, policy: str, rounds: int, make: RowMaker, tick: Tick) -> Iterator[Record]:
    """Passes through the whole clip; after each, the worst frame not yet spoken of gets three clicks.

    Rows of pass n are named by the n frames that had been spoken of.
    """
    following = Following(footage, policy, keep_all=True)
    say(following, 0, {1: _USER})
    spoken = {0}
    for number in range(1, min(rounds, footage.num_frames) + 1):
        row = make.named("offline", frames_spoken_of(number), number=number)
        j: dict[int, float] = {}
        for t in range(footage.num_frames):
            tick()
            answer = following.advance(t)[1]
            j[t] = make.region(t, answer)
            yield from make.frame(row, t, answer)
        yield row(metric="prompts", value=float(len(spoken)))
        yield row(metric="human_seconds", value=make.time.offline(footage.num_frames, CLICKS, number))
        worst = [t for t in sorted(j, key=lambda t: j[t]) if t not in spoken and footage.can_be_prompted(t)]
        if number == min(rounds, footage.num_frames) or not worst:
            return
        say(following, worst[0], {1: _USER}, correct=True)
        spoken.add(worst[0])


def online(footage: Footage, policy: str, budgets: Sequence[int], make: RowMaker, tick: Tick) -> Iterator[Record]:
    """One pass that pauses where IoU falls below `PAUSE_BELOW`, as long as the budget of frames allows.

    All budgets go through the clip together.
    """
    following = Following(footage, policy)
    left = dict(enumerate((budget - 1 for budget in budgets), start=1))
    rows = {i: make.named("online", frames_spoken_of(b), number=b) for i, b in enumerate(budgets, start=1)}
    say(following, 0, dict.fromkeys(left, _USER))
    for t in range(footage.num_frames):
        tick()
        answers = following.advance(t)
        slipped = [i for i in left if t and left[i] and make.region(t, answers[i]) < PAUSE_BELOW]
        if slipped and footage.can_be_prompted(t):
            for i, said in say(following, t, dict.fromkeys(slipped, _USER), correct=True).items():
                if said.answer is not None:
                    answers[i] = said.answer
                    left[i] -= 1
        for i, row in rows.items():
            yield from make.frame(row, t, answers[i])
    for i, row in rows.items():
        spoken = budgets[i - 1] - left[i]
        yield row(metric="prompts", value=float(spoken))
        yield row(metric="human_seconds", value=make.time.online(footage.num_frames, CLICKS, spoken))


def clicks_to_reach(
    footage: Footage, policy: str, seeds: Sequence[int], make: RowMaker, tick: Tick
) -> Iterator[Record]:
    """Clicks on the first frame until IoU reaches 85 and 90 %, of a user who clicks at centres, and of humans.

    A user who has not reached it after `MOST_CLICKS`, or finds nowhere to click, counts as that many and is marked
    "not reached".
    """
    following = Following(footage, policy)
    users = {1: Trial("kind", "centre", "clicks", 1)}
    users |= {i: Trial("kind", "human", "clicks", 1, "human", seed=seed) for i, seed in enumerate(seeds, start=2)}
    rows = {i: make.named("noc", user.name, seed=user.seed) for i, user in users.items()}
    needed: dict[tuple[int, float], int] = {}
    earlier: dict[int, list[Click]] = {i: [] for i in users}
    going = dict(users)
    reached: dict[int, float] = {}
    for number in range(1, MOST_CLICKS + 1):
        tick()
        for i, said in say(following, 0, going, correct=number > 1, earlier=earlier).items():
            if said.answer is None:
                del going[i]
                continue
            reached[i] = make.region(0, said.answer)
            for target in TARGETS:
                if reached[i] >= target:
                    needed.setdefault((i, target), number)
            if all((i, target) in needed for target in TARGETS):
                del going[i]
        for i, j in reached.items():  # also of those who have stopped, or a mean would be of the hard ones alone
            yield rows[i](metric=f"j_after_clicks_{number:02}", frame=0, value=j)
    for i, row in rows.items():
        for target in TARGETS:
            metric = f"noc@{target:.0%}".removesuffix("%")
            count = needed.get((i, target))
            state = "not reached" if count is None else "reached"
            yield row(metric=metric, frame=0, value=float(count or MOST_CLICKS), state=state)


def frames_spoken_of(number: int) -> str:
    """Of a row."""
    return "1 frame" if number == 1 else f"{number} frames"
