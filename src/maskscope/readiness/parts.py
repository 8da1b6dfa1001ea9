"""What a readiness run finds out, part by part: clip, picture, sweeps, endurance, costs, advice, limits to watch.

Every number that a reader may see is a `Figure`. No words for readers are in here, only names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from maskscope.readiness.figure import Figure

Truth = Literal["given", "clean run"]
"""What masks are compared with: given true ones, or the clip's own undisturbed run."""

Stage = Literal["now", "mitigate", "wait"]
Place = Literal["object", "background", "frame"]
Harder = Literal["lower", "higher"]

STAGES: Final[tuple[Stage, ...]] = ("now", "mitigate", "wait")

AXES: Final = ("resolution", "frame_rate", "light_down", "light_up", "shutter", "compression", "flicker")
"""What is swept: width in px; frames/s; stops below and above the present light; exposure in frame intervals; quality
of JPEG; swing of the light from frame to frame in stops."""

MEASURES: Final = (
    "blur", "dark_share", "bright_share", "luma", "noise", "flicker", "blockiness", "size_px", "size_tokens", "motion",
    "cuts", "frozen", "lookalike",
)  # fmt: skip
"""Of the picture, see `maskscope.picture`; figures are called MEASURE.PLACE, such as blur.object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """What was looked at, and how.

    Attributes:
        name: of the clip.
        num_frames: looked at.
        source_frames: that it has.
        start: number of the frame on which the object was given.
        width_px, height_px: of a frame.
        fps: frames a second; `fps_assumed` where the source does not say and 25 were taken.
        fps_assumed: see `fps`.
        truth: what masks were compared with.
        objects: their numbers.
        model: name of the weights.
        model_size: (height, width) in px at which the model saw the clip.
        policies: of memory, the stock one first.
        command: that made it.
        maskscope_version: that made it.
    """

    name: str
    num_frames: int
    source_frames: int
    start: int
    width_px: int
    height_px: int
    fps: float
    fps_assumed: bool
    truth: Truth
    objects: tuple[int, ...]
    model: str
    model_size: tuple[int, ...]
    policies: tuple[str, ...]
    command: tuple[str, ...] = ()
    maskscope_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMeasure:
    """One property of the picture, against the range in which this model still works on this clip.

    Attributes:
        measure: one of `MEASURES`.
        place: on the object, on the rest, or on the whole frame.
        figure: as the clip is (median over frames, of flicker, cuts and frozen frames over the clip).
        safe_low, safe_high: ends of the range, from the sweep `axis`; None where that side was not swept or did no
            harm as far as it went.
        axis: of the sweep that the range comes from; empty where none moves this measure: then there is no range.
        inside: whether the figure lies in the range; None without a range.
        reference: name of the earlier clip whose sweeps gave the range; empty where this clip's own did. A clip lies in
            its own range by construction: it was made worse to find it.
        over_time: (frame, value) pairs as a flat run of frames, for a chart; may be empty.
    """

    measure: str
    place: Place
    figure: Figure
    safe_low: Figure | None = None
    safe_high: Figure | None = None
    axis: str = ""
    inside: bool | None = None
    reference: str = ""
    frames: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """The clip at one level of an axis.

    Attributes:
        level: in the axis' unit.
        j: mean J over the frames that count.
        retention: J over that of the clean run on the same frames; may pass 1.
        motion: of the object per frame, in its sizes; None where it was not seen twice.
        transform: name of the condition in the records.
    """

    level: float
    j: Figure
    retention: Figure
    motion: float | None
    transform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence as data: the wording's key, and the numbers that stand in it."""

    key: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How far one property of the installation can fall.

    Attributes:
        axis: one of `AXES`.
        unit: of levels and limit.
        harder: whether lower or higher levels are harder.
        logarithmic: the axis is to be drawn so.
        present: level of the clip as it is.
        keep: retention that has to be kept.
        points: by level, from the present one to the hardest tried; the first is the clip as it is.
        limit: the level at which retention falls below `keep`, interpolated; of bound "at most" (harder is lower) or
            "at least" (harder is higher) where it never fell; no value where nothing could be tried.
        spare: how far the present is from the limit, 1 is none: the ratio of levels, of stops their number (0 is none).
        sentence: keys AXIS.room and AXIS.tight {advised where there is one, limit, lost_at, lost_retention, and
            motion_at_lost where known}, the second where the present has less room than it should; AXIS.ample and
            AXIS.near {advised, tried}, the second where nothing was tried far enough from the present to tell;
            AXIS.untried {}.
        advised: the level with room to the limit, see `maskscope.readiness.room`; it may lie beyond the present. None
            only until `advise` has seen the sweep.
    """

    axis: str
    unit: str
    harder: Harder
    logarithmic: bool
    present: float
    keep: float
    points: tuple[SweepPoint, ...]
    limit: Figure
    spare: Figure
    sentence: Sentence
    advised: Figure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalStep:
    """Share of tracks that are not yet lost, Kaplan-Meier: constant from `frames` to the next step.

    Attributes:
        frames: since the prompt.
        share, low, high: 0..1, with the 95 % band.
        at_risk: tracks that were followed so long.
    """

    frames: int
    share: float
    low: float
    high: float
    at_risk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OcclusionTrial:
    """The object was hidden, and then shown again.

    Attributes:
        kind: "cover" (hidden where it is, the scene goes on) or "foreign" (other pictures were shown).
        frame: number of the frame at which it was hidden.
        length_frames: for how long.
        found: whether it was found again.
        latency_frames: frames until then; None where it was not.
    """

    kind: Literal["cover", "foreign"]
    frame: int
    length_frames: int
    found: bool
    latency_frames: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endurance:
    """How long one memory policy holds.

    Attributes:
        policy: its name.
        horizon: frames without a new prompt until the first loss, playing the clip forth and back; bound "at least"
            where none came.
        frames_played: so long was it played.
        losses: so often was the object lost, and given again.
        survival: steps of the Kaplan-Meier curve, the first at 0.
        longest_occlusion: frames, the longest length that was survived at every moment tried; "at least" where the
            longest tried was.
        trials: of occlusion.
        reprompt_interval: frames between prompts that keep the share of lost tracks under `loss_share`.
        loss_share: see there.
    """

    policy: str
    horizon: Figure
    frames_played: int
    losses: int
    survival: tuple[SurvivalStep, ...]
    longest_occlusion: Figure
    trials: tuple[OcclusionTrial, ...]
    reprompt_interval: Figure
    loss_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostInputs:
    """What the user says; in one currency of his own.

    Attributes:
        miss: cost of one object that is there and not found.
        false_alarm: cost of one that is found and not there.
        review_minute: cost of a minute of a person looking.
        objects_per_hour: that pass.
        review_seconds: that a person looks at each miss and each false alarm.
        given: names of those that the user gave; the others are defaults.
    """

    miss: float
    false_alarm: float
    review_minute: float
    objects_per_hour: float
    review_seconds: float
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """What one threshold costs.

    Attributes:
        threshold_logit: objects with a score above it count as there.
        cost: per hour, with its 95 % interval.
        cost_low, cost_high: see there.
        miss_share: of the frames that show the object.
        false_alarm_share: of the frames that do not.
    """

    threshold_logit: float
    cost: float
    cost_low: float
    cost_high: float
    miss_share: float
    false_alarm_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingStudy:
    """What labels were worth on other clips.

    Attributes:
        labels: masks that helped most, of the numbers tried, the first of each clip among them; 0 where none helped.
        clips: that it was tried on.
        before, after: mean J&F without labels and with them, 0..1.
        command: that made it.
    """

    labels: int
    clips: int
    before: float
    after: float
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Expected cost against the object-score threshold, over the clip and its occluded variants.

    Attributes:
        inputs: what was taken.
        points: by threshold, rising.
        best_threshold: of the least cost.
        best_cost: per hour at it.
        stock_cost: per hour at the model's own threshold, 0.
        misses: per thousand objects, at the best threshold.
        false_alarms: per hour, likewise.
        review: minutes per hour, likewise.
        labelling: seconds of a person to label what an adaptation needs; no value where that is not known.
        labelling_study: that it comes from; None where there is none.
        visible_frames, absent_frames: decisions it rests on.
        independent_looks: blocks of frames that can be taken for independent.
        least_miss_share: that could have been told from zero with so many looks (3 / looks, the rule of three).
        seconds_for_certainty: of clip that would tell one miss in a hundred from none.
        sure: the interval of the best cost is narrower than the cost itself, and `seconds_for_certainty` are there.
    """

    inputs: CostInputs
    points: tuple[CostPoint, ...]
    best_threshold: Figure
    best_cost: Figure
    stock_cost: Figure
    misses: Figure
    false_alarms: Figure
    review: Figure
    labelling: Figure
    visible_frames: int
    absent_frames: int
    independent_looks: int
    least_miss_share: Figure
    seconds_for_certainty: Figure
    sure: bool
    labelling_study: LabellingStudy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One line of the plan.

    Attributes:
        rule: id of the rule that gave it, see `maskscope.readiness.rules`.
        key: of the wording.
        stage: what it means for the tasks it names: start now, mitigate first, or wait.
        cites: names of the figures that the rule looked at, one or more; each is in `figures()`.
        opens: name of the figure that opens the next stage; empty where there is none.
        opens_at: value that it has to reach.
        opens_when: from which side.
        values: numbers for the wording.
    """

    rule: str
    key: str
    stage: Stage
    cites: tuple[str, ...]
    opens: str = ""
    opens_at: float | None = None
    opens_when: Literal["", "at least", "at most"] = ""
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLimit:
    """Where a monitor of the running installation has to raise an alarm.

    Attributes:
        signal: "object_score_logit", "memory_distance", or MEASURE.PLACE of `maskscope.picture`.
        low, high: the range outside of which it alarms; None is open.
        source: name of the figure it follows from.
    """

    signal: str
    low: float | None
    high: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The clip as it is, before anything is done to it.

    Attributes:
        j: mean J of the clean run against given truth; no value without it.
        consistency: mean IoU of the clean run and the way back; no value where truth was given.
        score: median object score of the frames that show the object.
        predicted_iou: the model's own median guess.
        losses: of the object in the clean run.
        prompt_area, prompt_border: share of the frame, and of its border, that the prompted mask covers.
        prompt_score: object score at the prompt.
        black_frames: share of frames that are black.
    """

    j: Figure
    consistency: Figure
    score: Figure
    predicted_iou: Figure
    losses: Figure
    prompt_area: Figure
    prompt_border: Figure
    prompt_score: Figure
    black_frames: Figure
