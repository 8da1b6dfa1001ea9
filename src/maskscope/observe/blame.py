"""Which position is to blame for a loss of the object: pure functions of readings.

A loss is blamed on the earliest position whose separation falls significantly against the clean run *and* whose repair
by patching brings the mask back. Neither is enough alone. Separation falls at every position behind the cause. And a
patch repairs whatever was lost at its position or before it: clean tokens at `prompt_attended` bring every mask back,
clean features at `memory_conditioned` also make up for a spoilt memory, and for a clip that was changed the clean image
embedding is the clean run itself.

"Earliest" is the order of computation: by frame, and within a frame by position. What is written on one frame is read
on the next, so a pointer or memory that falls on frame 7 comes before the reading of it on frame 8.

"Not determined" is an answer, and the reason is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import SettingError
from maskscope.observe.losses import LOST, Loss, LossRule, Successes, losses_of
from maskscope.observe.measures.pointer import FIRST_FRAME
from maskscope.observe.measures.separation import AFTER_THE_PROMPT
from maskscope.observe.reading import Reading
from maskscope.remedies import REMEDIES
from maskscope.stages import STAGES, Stage

SEPARATION: Final[Mapping[Stage, str]] = {
    "image_embedding": "separation_ap",
    "memory_conditioned": "separation_ap",
    "prompt_attended": "separation_ap",
    "object_pointer": "pointer_cosine.first",  # a vector has no background to be told from; it holds to the first
    "memory_features": "separation_ap",
}
"""The reading that stands for separation at each position.

Average precision rather than AUC: an object has few cells among many, so hundreds of background cells may rank above
it before AUC leaves 0.95, while AP has fallen by half, and so has the mask.
"""

NOT_DETERMINED: Final = "not determined"
LOST_BY_BOTH: Final = "the clean run loses the object there as well, so it has nothing to put in place"
NOT_SHOWN: Final = "the clean run does not show that moment, so it has nothing to put in place"
TOO_LITTLE: Final = "so little of the object is shown there that the clean run's masks do not fit it either"
ONLY_HIDDEN: Final = "the mask is right where the object is shown, and wrong for covering what hides the rest of it"


@dataclass(frozen=True)
class BlameRule:
    """How much evidence is asked for.

    Attributes:
        loss: what counts as a loss.
        least_fall: separation must fall by as much, in the unit of its reading (AP or cosine).
        deviations: and by so many deviations from frame to frame: of the clean run, or of the difference to it where
            the object is not lost, whichever are less. The former also counts what both runs do alike because the scene
            changes, the latter also the fall itself. A fall counts if it lasts for two frames, or is twice as deep.
        lead_frames: falls are looked for on the first lost frame and so many before it, the reach of recent memory, and
            on the frame the object was given on, whose memory is always read. A fall that was under way before counts
            from where it began.
        repaired: share of the loss that a patch must bring back, 0..1.
        confident: share of the redraws that must name the same position.
        draws: of the redraws, see `Blame.confidence`.

    Raises:
        SettingError: a share outside 0..1, or a negative number.
    """

    loss: LossRule = field(default_factory=LossRule)
    least_fall: float = 0.05
    deviations: float = 3.0
    lead_frames: int = 8
    repaired: float = 0.5
    confident: float = 0.5
    draws: int = 200

    def __post_init__(self) -> None:
        for name in ("repaired", "confident"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name} is {getattr(self, name)}, expected a share in 0..1")
        for name in ("least_fall", "deviations", "lead_frames", "draws"):
            if getattr(self, name) < 0:
                raise SettingError(f"{name} is {getattr(self, name)}, expected 0 or more")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one position.

    Attributes:
        stage: the position.
        fell_at: first frame on which its separation fell significantly, not after the first lost one; None if it did
            not.
        fall: the largest fall up to there, clean less disturbed; None where separation was not measured.
        asked: the fall that is significant here.
        repair: share of the loss that came back by patching here: 1 all, 0 nothing; None where it was not patched.
        state: why it was not patched; empty where it was.
    """

    stage: Stage
    fell_at: int | None
    fall: float | None
    asked: float
    repair: float | None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Blame:
    """One loss and its cause.

    Attributes:
        loss: which.
        stage: position to blame; None is not determined.
        confidence: share of redraws that name the same position, 0..1: the lost frames are drawn with replacement, and
            the thresholds are varied about their values (by a factor of 0.7 to 1.4, the share to be repaired by 0.15).
            It says how far the answer hangs on single frames and thresholds, not how likely it is true.
        reason: one sentence.
        remedy: what to do about it; empty where nothing was determined.
        evidence: for every position, in order.
    """

    loss: Loss
    stage: Stage | None
    confidence: float
    reason: str
    remedy: str
    evidence: tuple[Evidence, ...]

    def readings(self) -> list[Reading]:
        """As readings of the first lost frame: `blame` (a state: the position), `blame_confidence`, and for each
        position `blame_fall` and `blame_repair`."""
        say = partial(Reading, frame=self.loss.first, object=self.loss.object)
        said = [
            say(metric="blame", state=self.stage or NOT_DETERMINED),
            say(metric="blame_confidence", value=self.confidence),
        ]
        for each in self.evidence:
            pairs = (("blame_fall", each.fall), ("blame_repair", each.repair))
            said += [say(metric=metric, value=value, stage=each.stage) for metric, value in pairs if value is not None]
        return said


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """A loss and all that is known of it, as arrays.

    Attributes:
        lost, kept: (n,) success of the disturbed and the clean run on the frames of the loss that the clean run holds.
        patched: the same by position.
        falls: by position, {frame: clean less disturbed} up to the first lost frame, and the one behind it.
        given: by position, the frame the object was given on, where it is known and its memory is read to the end.
        noise: by position, deviation from frame to frame, see `BlameRule.deviations`.
        not_held: why the clean run holds the object on none of the lost frames, where that is so.
    """

    lost: NDArray[np.float64]
    kept: NDArray[np.float64]
    patched: Mapping[Stage, NDArray[np.float64]]
    falls: Mapping[Stage, Mapping[int, float]]
    given: Mapping[Stage, int | None]
    noise: Mapping[Stage, float]
    not_held: str = ""


def blame(
    clean: Iterable[Reading],
    disturbed: Iterable[Reading],
    patched: Iterable[Reading],
    *,
    counterparts: Mapping[int, int] | None = None,
    separation: Mapping[Stage, str] = SEPARATION,
    rule: BlameRule | None = None,
) -> list[Blame]:
    """Every loss of every object, with the position to blame.

    Args:
        clean: readings of the clean run, with `separation` among them.
        disturbed: of the disturbed run.
        patched: of `maskscope.observe.recovery.Recovery`, direction "repair", over the whole clip.
        counterparts: frame of the disturbed run -> frame of the clean one that shows the same moment, where time was
            changed; the same frame without.
        separation: which reading stands for separation at each position.
        rule: how much evidence is asked for.
    """
    rule = rule or BlameRule()
    clean, disturbed, patched = list(clean), list(disturbed), list(patched)
    blames = []
    for object_id in sorted({r.object for r in patched if r.metric == "disturbed_j" and r.object is not None}):
        successes = Successes.of(patched, object_id)
        curves = {
            stage: (_curve(clean, stage, metric, object_id), _curve(disturbed, stage, metric, object_id))
            for stage, metric in separation.items()
        }
        begins = {stage: _begin(clean, stage, metric, object_id) for stage, metric in separation.items()}
        states = {r.stage: r.state for r in patched if r.metric == "recovered_j" and r.state and r.object == object_id}
        for loss in losses_of(successes, object_id, rule.loss):
            case = _case(loss, successes, curves, begins, counterparts, rule.loss.lost_j)
            blames.append(_judge(loss, case, {k: v or "" for k, v in states.items() if k}, rule))
    return blames


def _curve(readings: Sequence[Reading], stage: Stage, metric: str, object_id: int) -> dict[int, float]:
    """Values of the position itself, by frame."""
    return {
        r.frame: r.value
        for r in readings
        if r.metric == metric
        and r.stage == stage
        and r.object == object_id
        and not r.tap
        and r.frame is not None
        and r.value is not None
    }


def _begin(readings: Sequence[Reading], stage: Stage, metric: str, object_id: int) -> dict[int, float]:
    """The frame that the position's other frames are compared with, and its own value: of a pointer with itself 1."""
    fitted = _curve(readings, stage, f"{metric}_fitted", object_id)
    firsts = (r for r in readings if r.metric == metric and r.state == FIRST_FRAME and r.object == object_id)
    return fitted | {r.frame: 1.0 for r in firsts if r.frame is not None}


def _case(
    loss: Loss,
    successes: Successes,
    curves: Mapping[Stage, tuple[Mapping[int, float], Mapping[int, float]]],
    begins: Mapping[Stage, Mapping[int, float]],
    counterparts: Mapping[int, int] | None,
    lost_j: float,
) -> _Case:
    held = [t for t in loss.frames if t in loss.held]
    patched = {
        stage: np.array([by_frame[t] for t in held])
        for stage, by_frame in successes.patched.items()
        if held and all(t in by_frame for t in held)
    }
    falls, noise, given = {}, {}, dict[Stage, int | None]()
    for stage, (clean, disturbed) in curves.items():
        of = {t: t for t in disturbed} if counterparts is None else counterparts
        difference = {t: clean[of[t]] - disturbed[t] for t in sorted(disturbed) if of.get(t) in clean}
        # one more frame, to see whether a fall on the first lost frame lasts
        falls[stage] = {t: fall for t, fall in difference.items() if t <= loss.first + 1}
        first = next((t for t in sorted(disturbed) if of.get(t) in begins[stage]), None)
        if first is not None and first <= loss.first:
            falls[stage][first] = begins[stage][of[first]] - disturbed[first]
        # of positions that come to be on the frame behind the prompted one memory keeps nothing for good
        given[stage] = None if stage in AFTER_THE_PROMPT else first
        quiet = {t: fall for t, fall in difference.items() if t not in loss.frames}
        noise[stage] = min(_noise(clean), _noise(quiet))
    compared = successes.compared
    return _Case(
        np.array([compared[t] for t in held]),
        np.array([successes.clean[t] for t in held]),
        patched,
        falls,
        given,
        noise,
        "" if held else _not_held(loss, successes, lost_j),
    )


def _not_held(loss: Loss, successes: Successes, lost_j: float) -> str:
    if not any(t in successes.clean for t in loss.frames):
        return NOT_SHOWN
    shown = [successes.shown[t] for t in loss.frames if t in successes.shown]
    if not shown:
        return LOST_BY_BOTH
    return ONLY_HIDDEN if max(shown) >= lost_j else TOO_LITTLE


def _noise(curve: Mapping[int, float]) -> float:
    """Robust deviation of a curve about its course, from its steps: 1.4826 median|step| / sqrt(2)."""
    steps = [abs(value - curve[t - 1]) for t, value in curve.items() if t - 1 in curve]
    return 1.4826 * float(np.median(steps)) / sqrt(2) if steps else 0.0


def _fell_at(falls: Mapping[int, float], asked: float, given: int | None, window: range) -> int | None:
    """First frame of the earliest significant fall in the window, or on the frame the object was given on.

    It may have begun before the window: what went wrong then, and still does, is a cause, not what followed from it.
    """
    for t in sorted(falls):
        if t not in window and t != given:
            continue
        if falls[t] > 2 * asked or (falls[t] > asked and falls.get(t + 1, 0.0) > asked):
            while falls.get(t - 1, 0.0) > asked:
                t -= 1
            return t
    return None


def _evidence(
    loss: Loss,
    case: _Case,
    states: Mapping[Stage, str],
    rule: BlameRule,
    rows: NDArray[np.int64],
    strictness: float = 1,
) -> tuple[Evidence, ...]:
    """For all positions, over some of the lost frames, with the falls asked for multiplied by `strictness`."""
    gap = float((case.kept - case.lost)[rows].sum())
    window = range(loss.first - rule.lead_frames, loss.first + 1)
    evidence = []
    for stage in STAGES:
        falls = case.falls.get(stage, {})
        asked = strictness * max(rule.least_fall, rule.deviations * case.noise.get(stage, 0.0))
        given = case.given.get(stage)
        before = [fall for t, fall in falls.items() if t in window or t == given]
        repair = None
        if stage in case.patched and gap > 0:
            repair = float((case.patched[stage] - case.lost)[rows].sum()) / gap
        evidence.append(
            Evidence(
                stage,
                _fell_at(falls, asked, given, window),
                max(before, default=None),
                asked,
                repair,
                states.get(stage, "") if repair is None or stage in states else "",
            )
        )
    return tuple(evidence)


def _named(evidence: Iterable[Evidence], repaired: float) -> Stage | None:
    """The earliest position with both kinds of evidence."""
    fit = [
        (each.fell_at, STAGES.index(each.stage))
        for each in evidence
        if each.fell_at is not None and each.repair is not None and each.repair >= repaired
    ]
    return STAGES[min(fit)[1]] if fit else None


def _judge(loss: Loss, case: _Case, states: Mapping[Stage, str], rule: BlameRule) -> Blame:
    rows = np.arange(len(case.lost))
    evidence = _evidence(loss, case, states, rule, rows)

    def not_determined(reason: str, confidence: float = 0.0) -> Blame:
        return Blame(loss, None, confidence, reason, "", evidence)

    if not len(rows):
        return not_determined(case.not_held)
    stage = _named(evidence, rule.repaired)
    if stage is None:
        return not_determined(_why_not(loss, evidence, rule))
    rng = np.random.default_rng(0)  # the same answer every time
    named = 0
    for _ in range(rule.draws):
        drawn = rng.integers(0, len(rows), len(rows))
        varied = _evidence(loss, case, states, rule, drawn, float(np.exp(rng.uniform(-0.35, 0.35))))
        named += _named(varied, rule.repaired + rng.uniform(-0.15, 0.15)) == stage
    confidence = named / rule.draws if rule.draws else 1.0
    if confidence < rule.confident:
        return not_determined(f"{stage} by a narrow margin: the answer changes with frames and thresholds", confidence)
    of = evidence[STAGES.index(stage)]
    reason = (
        f"separation at {stage} falls first, on frame {of.fell_at} (by up to {of.fall or 0:.2f}, {of.asked:.2f} is "
        f"significant), and the clean activation there brings back {100 * (of.repair or 0):.0f} % of the mask"
    )
    return Blame(loss, stage, confidence, reason, str(REMEDIES[stage]), evidence)


def _why_not(loss: Loss, evidence: Sequence[Evidence], rule: BlameRule) -> str:
    fallen = [each for each in evidence if each.fell_at is not None]
    if all(each.fall is None for each in evidence):
        return "separation was not measured there" if loss.kind == LOST else "the object is not there to be told apart"
    if not fallen:
        return "separation falls significantly at no position"
    refused = sorted({each.state for each in fallen if each.state})
    if refused:
        return refused[0]
    if all(each.repair is None for each in fallen):
        return "no position was patched on the lost frames"
    best = max(each.repair for each in fallen if each.repair is not None)
    does = "brings the mask back" if loss.kind == LOST else "takes the false mask away"
    return (
        f"no patch where separation falls {does}: "
        f"at most {100 * best:.0f} % of it, {100 * rule.repaired:.0f} % is asked"
    )
