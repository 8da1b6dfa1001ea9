"""What a readiness run found out, as data: a page, a monitor or another program needs nothing else, and no model.

Every number that a reader may see is a `Figure`: value, unit, interval, and the metric of `records.parquet` whose rows
it follows from. No words for readers are in here, only names; the wording belongs to the page.

`ReadinessResult.write` and `ReadinessResult.read` go to JSON and back; `figures()` has every figure by its name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Literal

from maskscope.errors import RecordError
from maskscope.readiness.plain import from_plain, to_plain
from maskscope.records import write_whole

FORMAT: Final = "maskscope.readiness/2"
RESULT_NAME: Final = "readiness.json"
PAGE_NAME: Final = "readiness.html"
LANGUAGES: Final = ("en", "ja")

Truth = Literal["given", "clean run"]
"""What masks are compared with: given true ones, or the clip's own undisturbed run."""

Bound = Literal["exact", "at least", "at most"]
Stage = Literal["now", "mitigate", "wait"]
Place = Literal["object", "background", "frame"]
Harder = Literal["lower", "higher"]

STAGES: Final[tuple[Stage, ...]] = ("now", "mitigate", "wait")

UNITS: Final = (
    "share", "ratio", "cosine", "logit", "px", "px2", "tokens", "frames", "seconds", "frames/s", "stops", "intervals",
    "sizes/frame", "luma", "levels", "quality", "count", "cost/h", "minutes/h", "per 1000", "1/h", "1/min",
)  # fmt: skip
"""`px2` area in pixels; `intervals` exposure in frame intervals; `sizes/frame` motion in object sizes a frame; `luma`
0..1; `levels` of 255; `cost/h` in the user's own currency; `quality` of JPEG, 1..100."""

AXES: Final = ("resolution", "frame_rate", "light_down", "light_up", "shutter", "compression", "flicker")
"""What is swept: width in px; frames/s; stops below and above the present light; exposure in frame intervals; quality
of JPEG; swing of the light from frame to frame in stops."""

MEASURES: Final = (
    "blur", "dark_share", "bright_share", "luma", "noise", "flicker", "blockiness", "size_px", "size_tokens", "motion",
    "cuts", "frozen", "lookalike",
)  # fmt: skip
"""Of the picture, see `maskscope.picture`; figures are called MEASURE.PLACE, such as blur.object."""


STATES: Final = (
    "no true masks were given", "true masks were given", "the way back met no object", "no frame shows the object",
    "no frame is without the object", "labelling was not measured on this clip",
    "labels did not help in the labelling study",
    "nothing harder than the present level can be tried", "too few pixels, or no contrast",
    "the object is not seen beside anything else", "no moment shows the object long enough to hide it",
)  # fmt: skip
"""Why a figure of a run can be without a value; a catalogue of wording has a sentence for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that a reader may see.

    Attributes:
        name: unique in a result, such as "frame_rate.limit".
        value: finite; None where it could not be measured.
        unit: one of `UNITS`; fractions are shares in 0..1, never percent.
        low, high: ends of the 95 % interval; None where there is none.
        bound: "at least" where the true value lies at or above (nothing tried was hard enough), "at most" likewise.
        metric: of the records that it follows from.
        state: why there is no value, see `STATES`; empty where there is one.

    Raises:
        RecordError: a number that is not finite, an unknown unit, or neither or both of value and state.
    """

    name: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    bound: Bound = "exact"
    metric: str = ""
    state: str = ""

    def __post_init__(self) -> None:
        if any(each is not None and not math.isfinite(each) for each in (self.value, self.low, self.high)):
            raise RecordError(f"the figure {self.name} is {self.value} [{self.low}, {self.high}], expected finite ones")
        if self.unit not in UNITS:
            raise RecordError(f"the figure {self.name} has the unit {self.unit!r}, expected one of {', '.join(UNITS)}")
        if (self.value is None) != bool(self.state):
            raise RecordError(f"the figure {self.name} has either a value or a state, got {self.value}, {self.state!r}")


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
        sentence: keys AXIS.limit {limit, lost_at, lost_retention, and motion_at_lost where known}, AXIS.holds {tried},
            AXIS.untried {}.
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
        labels: of the number that helped most, of those tried; 0 where none helped.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessResult:
    """Everything that a readiness run found out.

    Attributes:
        clip: what was looked at.
        baseline: the clip as it is.
        picture: measures, see `MEASURES`.
        sweeps: by axis, in the order of `AXES`; one that could not be made has a limit without value.
        endurance: of each policy, stock first.
        cost: expected.
        plan: advice, in the order of `STAGES`.
        verdict: whether short tasks can start: the latest stage of the advice that concerns them.
        watch: limits for a monitor.
        notes: sentences in English about what was left out, and why.
        passes, frames_tracked: work that was done.
        seconds: that it took; 0 where parts were taken over from an earlier call.
        format: of the JSON.
    """

    clip: ClipFacts
    baseline: Baseline
    picture: tuple[PictureMeasure, ...]
    sweeps: tuple[Sweep, ...]
    endurance: tuple[Endurance, ...]
    cost: Cost
    plan: tuple[Advice, ...]
    verdict: Stage
    watch: tuple[WatchLimit, ...]
    notes: tuple[str, ...]
    passes: int
    frames_tracked: int
    seconds: float
    format: str = FORMAT

    def figures(self) -> dict[str, Figure]:
        """Every figure by its name.

        Raises:
            RecordError: two figures share one name.
        """
        found: dict[str, Figure] = {}
        for figure in _figures(self):
            if figure.name in found and found[figure.name] != figure:
                raise RecordError(f"two figures are called {figure.name}")
            found[figure.name] = figure
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_json(cls, plain: Any) -> ReadinessResult:
        """The inverse of `to_json`.

        Raises:
            RecordError: another format, or damaged.
        """
        came = plain.get("format") if isinstance(plain, dict) else None
        if came != FORMAT:
            raise RecordError(f"this is no readiness result of the format {FORMAT}, but {came!r}", "compute it again")
        return from_plain(cls, plain)

    def write(self, path: Path | str) -> None:
        """Write the JSON file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(Path(path), (json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, path: Path | str) -> ReadinessResult:
        """Read what `write` has written.

        Raises:
            RecordError: missing, damaged, or of another format.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            if isinstance(error, RecordError):
                raise
            if isinstance(error, FileNotFoundError):
                raise RecordError(f"there is no {path}", f"give {RESULT_NAME} of an earlier run") from error
            raise RecordError(f"{path} cannot be read as a readiness result ({error})", "compute it again") from error


def _figures(value: Any) -> Iterator[Figure]:
    if isinstance(value, Figure):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from _figures(getattr(value, each.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from _figures(each)
