"""The rules of the plan, in one table. Each looks at measured figures alone, and cites those that made it speak.

A rule speaks when all tests of one of its cases hold. A figure that was not measured holds no test, so there is no
advice without a measurement. Limits come from the sweeps of the clip itself; the few constants are named, with reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import STAGES, Advice, Stage
from maskscope.readiness.room import ROOM

FEW_TOKENS: Final = 4.0
"""Of an object: below it is hardly more than a point to the model (a token is 16 x 16 px of its input)."""

BACKGROUND_AREA, BACKGROUND_BORDER = 0.5, 0.35
"""Shares of the frame, and of its border, that a mask of an object rarely fills, and one of a wall or a floor does."""

FROZEN_SHARE, BLACK_SHARE = 0.05, 0.02
SURE_SHARE: Final = 0.01
SHORT_SECONDS: Final = 2.0
"""That a short task lasts: a part passes the camera."""

LONGER: Final = 1.2  # a policy is better from this factor on; below is chance

Operator = Literal["below", "above", "at least", "low above", "high below", "found", "open"]


@dataclass(frozen=True)
class Test:
    """One condition on one figure.

    Attributes:
        figure: its name; a figure without value holds no test.
        is_: "below", "above" and "at least" compare the value, "low above" and "high below" the ends of its interval;
            "found" holds where the value is exact: something happened, and was not only not seen; "open" where not.
        than: a number, the name of another figure, or of a setting such as "keep".
        times: factor on what it is compared with.
    """

    __test__ = False  # for pytest, which collects by this name

    figure: str
    is_: Operator
    than: float | str = 0.0
    times: float = 1.0

    def holds(self, figures: Mapping[str, Figure], settings: Mapping[str, float]) -> bool:
        """Whether it holds of these figures."""
        figure, than = figures.get(self.figure), self._than(figures, settings)
        if figure is None or figure.value is None or than is None:
            return False
        match self.is_:
            case "below":
                return figure.value < than * self.times
            case "above":
                return figure.value > than * self.times
            case "at least":
                return figure.value >= than * self.times
            case "low above":
                return figure.low is not None and figure.low > than * self.times
            case "high below":
                return figure.high is not None and figure.high < than * self.times
            case _:
                return (figure.bound == "exact") == (self.is_ == "found")

    def _than(self, figures: Mapping[str, Figure], settings: Mapping[str, float]) -> float | None:
        if not isinstance(self.than, str):
            return self.than
        if self.than in settings:
            return settings[self.than]
        other = figures.get(self.than)
        return None if other is None else other.value

    @property
    def names(self) -> tuple[str, ...]:
        """Of the figures it looks at."""
        return (self.figure, self.than) if isinstance(self.than, str) and "." in self.than else (self.figure,)


Case = tuple[Test, ...]


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Attributes:
        id: name, and key of the wording.
        stage: of the tasks it concerns.
        tasks: whether it concerns short tasks, or only long ones.
        cases: it speaks where all tests of one of them hold.
        opens: figure that opens the next stage; empty where there is none.
        opens_at: the value it has to reach: a number, a figure or a setting.
        opens_when: from which side.
        instead: figure that opens it where `opens` was not measured.
        unless: silent where one of these rules speaks, which explains the same figures.
        values: figures whose values stand in the wording, by the word there.
        alone: where it speaks, no other rule is asked: the figures are about the wrong thing.
    """

    id: str
    stage: Stage
    cases: tuple[Case, ...]
    tasks: Literal["short", "long"] = "short"
    opens: str = ""
    opens_at: float | str = 0.0
    opens_when: Literal["", "at least", "at most"] = ""
    instead: str = ""
    unless: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False


def _short_of(axis: str, *measures: Case) -> tuple[Case, ...]:
    return ((Test(f"{axis}.limit", "found"), Test(f"{axis}.spare", "below", ROOM[axis])), *measures)


def _beyond(measure: str, side: Literal["low", "high"]) -> Case:
    return (Test(measure, "below" if side == "low" else "above", f"{measure}.{side}"),)


RULES: Final = (
    Rule(
        "prompt_background", "wait",
        ((Test("prompt.area", "above", BACKGROUND_AREA),), (Test("prompt.border", "above", BACKGROUND_BORDER),),
         (Test("prompt.score", "below", 0.0),)),
        opens="prompt.border", opens_at=BACKGROUND_BORDER, opens_when="at most",
        values={"area": "prompt.area", "border": "prompt.border", "score": "prompt.score"}, alone=True,
    ),
    Rule(
        "black_frames", "mitigate", ((Test("baseline.black_frames", "above", BLACK_SHARE),),),
        opens="baseline.black_frames", opens_at=BLACK_SHARE, opens_when="at most",
        values={"share": "baseline.black_frames"},
    ),
    Rule(
        "raise_resolution", "mitigate",
        _short_of("resolution", _beyond("size_px.object", "low")),
        opens="resolution.spare", opens_at=ROOM["resolution"], opens_when="at least",
        values={"limit": "resolution.limit", "spare": "resolution.spare"},
    ),
    Rule(
        "object_tiny", "mitigate", ((Test("size_tokens.object", "below", FEW_TOKENS),),),
        opens="size_tokens.object", opens_at=FEW_TOKENS, opens_when="at least", unless=("raise_resolution",),
        values={"tokens": "size_tokens.object"},
    ),
    Rule(
        "raise_frame_rate", "mitigate",
        _short_of("frame_rate", _beyond("motion.object", "high")),
        opens="frame_rate.spare", opens_at=ROOM["frame_rate"], opens_when="at least",
        values={"limit": "frame_rate.limit", "spare": "frame_rate.spare", "motion": "motion.object"},
    ),
    Rule(
        "more_light", "mitigate", _short_of("light_down", _beyond("luma.object", "low")),
        opens="light_down.spare", opens_at=ROOM["light_down"], opens_when="at least",
        values={"limit": "light_down.limit", "spare": "light_down.spare", "luma": "luma.object"},
    ),
    Rule(
        "less_light", "mitigate", _short_of("light_up", _beyond("bright_share.object", "high")),
        opens="light_up.spare", opens_at=ROOM["light_up"], opens_when="at least",
        values={"limit": "light_up.limit", "spare": "light_up.spare", "share": "bright_share.object"},
    ),
    Rule(
        "less_noise", "mitigate", (_beyond("noise.object", "high"),),
        opens="noise.object", opens_at="noise.object.high", opens_when="at most", unless=("more_light",),
        values={"noise": "noise.object", "limit": "noise.object.high"},
    ),
    Rule(
        "shorter_shutter", "mitigate", _short_of("shutter"),
        opens="shutter.spare", opens_at=ROOM["shutter"], opens_when="at least",
        values={"limit": "shutter.limit", "spare": "shutter.spare"},
    ),
    Rule(
        "sharpen", "mitigate", (_beyond("blur.object", "high"),),
        opens="blur.object", opens_at="blur.object.high", opens_when="at most",
        unless=("shorter_shutter", "raise_resolution"),
        values={"blur": "blur.object", "limit": "blur.object.high"},
    ),
    Rule(
        "less_compression", "mitigate", _short_of("compression", _beyond("blockiness.object", "high")),
        opens="compression.spare", opens_at=ROOM["compression"], opens_when="at least", unless=("raise_resolution",),
        values={"limit": "compression.limit", "blockiness": "blockiness.object"},
    ),
    Rule(
        "steady_light", "mitigate", _short_of("flicker", _beyond("flicker.object", "high")),
        opens="flicker.spare", opens_at=ROOM["flicker"], opens_when="at least", unless=("black_frames",),
        values={"limit": "flicker.limit", "flicker": "flicker.object"},
    ),
    Rule(
        "cuts", "mitigate", ((Test("cuts.frame", "above", 0.0),),),
        opens="cuts.frame", opens_at=0.0, opens_when="at most", unless=("black_frames",),
        values={"count": "cuts.frame"},
    ),
    Rule(
        "frozen", "mitigate", ((Test("frozen.frame", "above", FROZEN_SHARE),),),
        opens="frozen.frame", opens_at=FROZEN_SHARE, opens_when="at most", unless=("black_frames",),
        values={"share": "frozen.frame"},
    ),
    Rule(
        "lookalikes", "mitigate", ((Test("lookalike.background", "below", 0.0),),),
        opens="lookalike.background", opens_at=0.0, opens_when="at least", values={"margin": "lookalike.background"},
    ),
    Rule(
        "use_composite", "mitigate",
        ((Test("stock.horizon", "found"), Test("composite.horizon", "above", "stock.horizon", LONGER)),
         (Test("composite.longest_occlusion", "above", "stock.longest_occlusion", LONGER),)),
        opens="composite.horizon", opens_at="played.frames", opens_when="at least",
        values={"stock": "stock.horizon", "composite": "composite.horizon",
                "stock_occlusion": "stock.longest_occlusion", "composite_occlusion": "composite.longest_occlusion"},
    ),
    Rule(
        "prompt_again", "mitigate",
        ((Test("stock.horizon", "found"), Test("composite.horizon", "found"),
          Test("stock.reprompt_interval", "above", 0.0), Test("composite.reprompt_interval", "above", 0.0)),),
        opens="stock.horizon", opens_at="played.frames", opens_when="at least",
        values={"frames": "stock.reprompt_interval", "composite_frames": "composite.reprompt_interval"},
    ),
    Rule(
        "threshold", "mitigate",
        ((Test("cost.best_threshold", "low above", 0.0), Test("cost.best", "below", "cost.stock")),
         (Test("cost.best_threshold", "high below", 0.0), Test("cost.best", "below", "cost.stock"))),
        values={"threshold": "cost.best_threshold", "best": "cost.best", "stock": "cost.stock"},
    ),
    Rule(
        "fine_tune", "wait",
        ((Test("baseline.j", "below", "keep"),), (Test("baseline.consistency", "below", "keep"),)),
        opens="baseline.j", instead="baseline.consistency", opens_at="keep", opens_when="at least",
        unless=("raise_resolution", "object_tiny", "raise_frame_rate", "more_light", "less_light", "sharpen",
                "shorter_shutter", "cuts", "lookalikes"),
        values={"j": "baseline.j", "consistency": "baseline.consistency"},
    ),
    Rule(
        "longer_clip", "mitigate", ((Test("cost.least_miss_share", "above", SURE_SHARE),),), tasks="long",
        opens="cost.least_miss_share", opens_at=SURE_SHARE, opens_when="at most",
        values={"seconds": "cost.seconds_for_certainty", "share": "cost.least_miss_share"},
    ),
    Rule(
        "long_watch", "wait", ((Test("stock.horizon", "found"), Test("composite.horizon", "found")),), tasks="long",
        opens="composite.horizon", opens_at="played.frames", opens_when="at least",
        values={"frames": "stock.horizon", "composite_frames": "composite.horizon"},
    ),
)  # fmt: skip
"""In the order in which they are asked."""

START_SHORT: Final = Rule(
    "start_short", "now",
    ((Test("stock.horizon", "at least", "short.frames"), Test("baseline.j", "at least", "keep")),
     (Test("stock.horizon", "at least", "short.frames"), Test("baseline.consistency", "at least", "keep"))),
    opens="composite.horizon", opens_at="played.frames", opens_when="at least", values={"frames": "stock.horizon"},
)  # fmt: skip
"""Given beside whatever else is said, unless something has to wait: the clip was followed, well, and long enough."""

NOT_YET: Final = (
    Rule(
        "not_accurate", "wait",
        ((Test("baseline.j", "below", "keep"),), (Test("baseline.consistency", "below", "keep"),)),
        opens="baseline.j", instead="baseline.consistency", opens_at="keep", opens_when="at least",
    ),
    Rule(
        "not_long", "wait", ((Test("stock.horizon", "found"), Test("stock.horizon", "below", "short.frames")),),
        opens="stock.horizon", opens_at="short.frames", opens_when="at least",
        values={"frames": "stock.horizon", "least_frames": "short.frames"},
    ),
    Rule(
        "not_shown", "wait", ((Test("stock.horizon", "open"), Test("stock.horizon", "below", "short.frames")),),
        opens="stock.horizon", opens_at="short.frames", opens_when="at least",
        values={"frames": "stock.horizon", "least_frames": "short.frames"},
    ),
)  # fmt: skip
"""Why short tasks do not start, where nothing else has said that they have to wait."""


def plan(figures: Mapping[str, Figure], settings: Mapping[str, float]) -> tuple[Advice, ...]:
    """What the rules say, in the order of stages.

    Args:
        figures: by name, as `ReadinessResult.figures` has them.
        settings: "keep" (0..1, what retention and J should reach), "played.frames" (that a clip was played behind its
            prompt), "short.frames" (that a short task lasts) and "fps".
    """
    found: dict[str, Advice] = {}
    for rule in RULES:
        advice = None if set(rule.unless) & set(found) else _asked(rule, figures, settings)
        if advice is not None:
            found[rule.id] = advice
            if rule.alone:
                break
    waits = any(each.stage == "wait" and _RULE[each.rule].tasks == "short" for each in found.values())
    start = None if waits else _asked(START_SHORT, figures, settings)
    why = [] if waits or start else [_asked(rule, figures, settings) for rule in NOT_YET]
    said = [each for each in (start, *why, *found.values()) if each is not None]
    return tuple(sorted(said, key=lambda each: STAGES.index(each.stage)))


def verdict(advice: tuple[Advice, ...]) -> Stage:
    """Whether short tasks can start: the latest stage of what concerns them; wait where nothing says that they can."""
    stages = [STAGES.index(each.stage) for each in advice if _RULE[each.rule].tasks == "short"]
    return STAGES[max(stages)] if any(each.rule == START_SHORT.id for each in advice) else "wait"


_RULE: Final = {rule.id: rule for rule in (*RULES, START_SHORT, *NOT_YET)}


def _asked(rule: Rule, figures: Mapping[str, Figure], settings: Mapping[str, float]) -> Advice | None:
    held = [case for case in rule.cases if all(test.holds(figures, settings) for test in case)]
    if not held:
        return None
    known = {word: figures[name].value for word, name in rule.values.items() if name in figures}
    known |= {word: settings[name] for word, name in rule.values.items() if name in settings}
    frames = known.get("frames")
    if frames is not None and "fps" in settings:
        known["seconds"] = frames / settings["fps"]
    at = rule.opens_at
    if isinstance(at, str):
        at = settings[at] if at in settings else (figures[at].value if at in figures else None)  # type: ignore[assignment]
    opens = next(
        (each for each in (rule.opens, rule.instead) if each in figures and figures[each].value is not None), ""
    )
    if opens and at is not None and _met(figures[opens], rule.opens_when, float(at)):
        opens = ""  # something else than what this figure stands for made the rule speak
    cites = dict.fromkeys(name for case in held for test in case for name in test.names if name in figures)
    return Advice(
        rule=rule.id,
        key=rule.id,
        stage=rule.stage,
        cites=tuple(cites),
        opens=opens,
        opens_at=at if opens else None,  # type: ignore[arg-type]
        opens_when=rule.opens_when if opens else "",
        values={word: value for word, value in known.items() if value is not None},
    )


def _met(figure: Figure, when: str, at: float) -> bool:
    """Whether a figure is where the next stage opens already."""
    assert figure.value is not None
    return figure.value <= at if when == "at most" else figure.value >= at
