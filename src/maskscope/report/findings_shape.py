"""What the findings of a diagnosis of many clips consist of, and when something counts as found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, Literal

from maskscope.evaluate.statistics import Interval
from maskscope.report.page.rows import Condition, Place
from maskscope.stages import Stage

FORMAT: Final = "maskscope.diagnosis-of-clips/1"
LEAST_CLIPS: Final = 5
"""Of fewer clips an interval over clips says nothing, so nothing is decided."""

FEEDS: Final[Mapping[Stage, Stage]] = {
    "memory_conditioned": "image_embedding",
    "prompt_attended": "memory_conditioned",
    "object_pointer": "prompt_attended",
    "memory_features": "image_embedding",
}
"""The position that each is compared with, as `maskscope.observe.measures.filtering` has it."""

SEPARATION: Final = "separation_auc"
CONTROLS: Final = {"control": "a region elsewhere", "position": "place alone", "rgb": "colour alone"}
REGIONS: Final = ("object", "background")
LOST_OUTCOMES: Final = ("miss", "drift", "hallucination")

Verdict = Literal["lower", "higher", "unclear", "too few clips"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A figure over clips, against the value that would mean nothing.

    Attributes:
        interval: mean over clips; geometric mean of a ratio.
        neutral: 1 for a ratio, 0 for a difference.
        by_clip: the same of each clip alone.
    """

    interval: Interval
    neutral: float
    by_clip: Mapping[str, float]

    @property
    def verdict(self) -> Verdict:
        """On which side of neutral the whole interval lies."""
        if len(self.by_clip) < LEAST_CLIPS:
            return "too few clips"
        if self.interval.high < self.neutral:
            return "lower"
        return "higher" if self.interval.low > self.neutral else "unclear"

    @property
    def against(self) -> list[tuple[str, float]]:
        """Clips that say the opposite of the mean, the clearest first."""
        side = 1 if self.interval.estimate >= self.neutral else -1
        found = [(clip, value) for clip, value in self.by_clip.items() if side * (value - self.neutral) < 0]
        return sorted(found, key=lambda each: side * each[1])


@dataclass(frozen=True, slots=True)
class Passage:
    """What a stage leaves of a disturbance, on the object or beside it.

    Attributes:
        stage: it comes out of.
        region: "object" or "background".
        ratio: distance behind the stage over that before it, over all transformations; below 1 the stage filters.
        by_condition: of each transformation.
    """

    stage: Stage
    region: str
    ratio: Effect
    by_condition: Mapping[Condition, Effect]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How far a position tells the object from its background on clips as they are, beside its controls.

    Attributes:
        place: the position.
        auc: of the read-out for the object.
        controls: the same for what knows nothing of the object, by `CONTROLS`.
        above: auc less each of them, clip by clip.
    """

    place: Place
    auc: Effect
    controls: Mapping[str, Interval]
    above: Mapping[str, Effect]


@dataclass(frozen=True, slots=True)
class Blamed:
    """Losses under one condition.

    Attributes:
        losses: how many.
        frames: lost frames.
        stages: lost frames by the stage to blame; None is not determined.
    """

    losses: int
    frames: int
    stages: Mapping[Stage | None, int]


@dataclass(frozen=True, slots=True)
class Unnamed:
    """Losses of transformed clips for which no stage is named, of one kind and for one reason.

    Attributes:
        kind: "lost" or "false alarm".
        reason: see `maskscope.report.page.reasons`.
        losses: how many.
        frames: lost frames.
    """

    kind: str
    reason: str
    losses: int
    frames: int


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it; what was not measured is empty.

    Attributes:
        clips: their names.
        objects: in all of them.
        conditions: clips as they are, and transformations.
        passages: each stage that is fed by another, object before background.
        emphasis: ratio on the object over ratio on the background, by stage; above 1 the object is kept, comparatively.
        knowledge: of positions.
        steps: AUC of a position less that of the one that feeds it, on clips as they are.
        separation: AUC by condition and position.
        falls: the same less that of the clip as it is, of transformations.
        taps: AUC and that of the control task, in the order that a frame passes.
        onset: of `separation_auc` and `above_control`, over clips, see `maskscope.studies.diagnose_dataset.onsets`.
        clip_onsets: of each clip alone, a tap's name or None for "not determined".
        early: J of the mask decoded at taps of memory attention, by condition.
        early_steps: of clips as they are, J at a tap less J at the one before.
        early_rise: J at the last tap less J without memory.
        scores: J by condition.
        lost: share of frames on which the object is lost, by condition.
        blamed: losses and their blame by condition.
        blame_shares: share of the lost frames of transformed clips by the stage to blame, clips drawn.
        recovered: share of J that patching a position brings back.
        blamed_by_clip: of transformed clips, frames by stage.
        intervened: whether blame was looked for at all.
        across: like `knowledge`, of read-outs that were fitted on all other clips, the controls' too.
        kinds: of transformed clips, lost frames by the kind of loss, and how many of them are blamed on a stage.
        unnamed: why the others are not, most frames first.
    """

    clips: tuple[str, ...]
    objects: int
    conditions: tuple[Condition, ...]
    passages: tuple[Passage, ...]
    emphasis: Mapping[Stage, Effect]
    knowledge: tuple[Knowledge, ...]
    steps: Mapping[Stage, Effect]
    separation: Mapping[Condition, Mapping[Place, Interval]]
    falls: Mapping[Condition, Mapping[Place, Effect]]
    taps: Mapping[Place, tuple[Interval, Interval | None]]
    onset: Mapping[str, Mapping[str, Any]]
    clip_onsets: Mapping[str, str | None]
    early: Mapping[Condition, Mapping[Place, Interval]]
    early_steps: Mapping[Place, Effect]
    early_rise: Effect | None
    scores: Mapping[Condition, Interval]
    lost: Mapping[Condition, Interval]
    blamed: Mapping[Condition, Blamed]
    blame_shares: Mapping[Stage | None, Interval]
    recovered: Mapping[Stage, Interval]
    blamed_by_clip: Mapping[str, Mapping[Stage | None, int]]
    intervened: bool
    across: tuple[Knowledge, ...] = ()
    kinds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unnamed: tuple[Unnamed, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values; conditions and places by their names."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Condition):
        return f"{value.family}:{value.severity}" if value.family else "clean"
    if isinstance(value, Place):
        return f"{value.stage}/{value.tap}" if value.tap else value.stage
    if isinstance(value, Effect):
        return {
            **_plain(value.interval),
            "neutral": value.neutral,
            "verdict": value.verdict,
            "clips": dict(value.by_clip),
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _key(key: Any) -> str:
    return "not determined" if key is None else str(_plain(key))
