"""A readiness result that nobody measured: a conveyor whose frame rate is nearly too low and that has look-alikes.

For tests of what reads results; `made_up_readiness()` holds every kind of part, with intervals, bounds and states.
"""

from __future__ import annotations

import math
from dataclasses import replace

from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import (
    Advice,
    Baseline,
    ClipFacts,
    Cost,
    CostInputs,
    CostPoint,
    Endurance,
    OcclusionTrial,
    PictureMeasure,
    Sentence,
    SurvivalStep,
    Sweep,
    SweepPoint,
    Truth,
    WatchLimit,
)
from maskscope.readiness.result import ReadinessResult
from maskscope.readiness.room import advise


def figure(name: str, value: float | None, unit: str, spread: float | None = None, **more: str) -> Figure:
    """A figure whose interval reaches `spread` to both sides."""
    ends = {} if spread is None or value is None else {"low": value - spread, "high": value + spread}
    return Figure(name=name, value=value, unit=unit, metric=more.pop("metric", name), **ends, **more)  # type: ignore[arg-type]


def sweep(
    axis: str, unit: str, levels: list[float], retentions: list[float], limit: float | None, spare: float, keep: float
) -> Sweep:
    """Levels from the present one to the hardest."""
    harder = "lower" if levels[-1] < levels[0] else "higher"
    points = tuple(
        SweepPoint(
            level=level,
            j=figure(f"{axis}.{index}.j", 0.9 * kept, "share", 0.03, metric="j"),
            retention=figure(f"{axis}.{index}.retention", kept, "share", 0.04, metric="j"),
            motion=0.12 * levels[0] / level if axis == "frame_rate" else 0.12,
            transform=f"readiness/{axis}:{level:g}" if index else "",
        )
        for index, (level, kept) in enumerate(zip(levels, retentions, strict=True))
    )
    lost = next((point for point in points if (point.retention.value or 0) < keep), None)
    additive = axis.startswith("light") or axis == "flicker"
    if lost is None or limit is None:
        found = figure(f"{axis}.limit", levels[-1], unit, bound="at most" if harder == "lower" else "at least")
        sentence = Sentence(key=f"{axis}.holds", values={"tried": levels[-1]})
    else:
        found = figure(f"{axis}.limit", limit, unit, 0.08 * abs(limit), metric="j")
        values = {"limit": limit, "lost_at": lost.level, "lost_retention": lost.retention.value or 0.0}
        if axis == "frame_rate" and lost.motion is not None:
            values["motion_at_lost"] = lost.motion
        sentence = Sentence(key=f"{axis}.limit", values=values)
    made = Sweep(
        axis=axis, unit=unit, harder=harder, logarithmic=not additive, present=levels[0], keep=keep, points=points,
        limit=found, spare=figure(f"{axis}.spare", spare, "stops" if additive else "ratio", bound=found.bound),
        sentence=sentence,
    )  # fmt: skip
    return advise(made)


def endurance(policy: str, horizon: int, losses: int, occlusion: int) -> Endurance:
    """A policy that first loses its object after `horizon` frames; never where `losses` is 0."""
    steps = [SurvivalStep(frames=0, share=1.0, low=1.0, high=1.0, at_risk=losses + 1)]
    for loss in range(losses):
        share = 1 - (loss + 1) / (losses + 1)
        steps.append(
            SurvivalStep(
                frames=horizon + 30 * loss, share=share, low=max(share - 0.3, 0.0), high=min(share + 0.2, 1.0),
                at_risk=losses + 1 - loss,
            )
        )  # fmt: skip
    bound = "exact" if losses else "at least"
    return Endurance(
        policy=policy,
        horizon=figure(f"{policy}.horizon", horizon, "frames", bound=bound, metric="loss"),
        frames_played=450,
        losses=losses,
        survival=tuple(steps),
        longest_occlusion=figure(f"{policy}.longest_occlusion", occlusion, "frames", metric="occlusion_survived"),
        trials=tuple(
            OcclusionTrial(
                kind=kind, frame=frame, length_frames=length, found=length <= occlusion,
                latency_frames=1 if length <= occlusion else None,
            )
            for kind in ("cover", "foreign") for frame in (60, 160) for length in (2, 4, 8, 16, 32)
        ),
        reprompt_interval=Figure(
            name=f"{policy}.reprompt_interval", value=float(horizon // 2), unit="frames", low=horizon / 4,
            high=float(horizon), metric="loss", bound=bound,
        ),
        loss_share=0.05,
    )  # fmt: skip


def cost_points(inputs: CostInputs) -> tuple[CostPoint, ...]:
    """Smooth shares of misses and false alarms."""
    points = []
    for step in range(-16, 17):
        threshold = step / 2
        miss, alarm = 1 / (1 + math.exp(-(threshold - 4))), 0.2 / (1 + math.exp(threshold + 1))
        errors = inputs.objects_per_hour * (miss + alarm)
        cost = inputs.objects_per_hour * (miss * inputs.miss + alarm * inputs.false_alarm)
        cost += errors * inputs.review_seconds / 60 * inputs.review_minute
        points.append(
            CostPoint(
                threshold_logit=threshold, cost=cost, cost_low=0.8 * cost, cost_high=1.3 * cost, miss_share=miss,
                false_alarm_share=alarm,
            )
        )  # fmt: skip
    return tuple(points)


def made_up_readiness(truth: Truth = "clean run") -> ReadinessResult:
    """The whole result."""
    frames = tuple(range(0, 250, 25))
    sweeps = (
        sweep("resolution", "px", [854, 427, 214, 107, 53], [1.0, 0.98, 0.93, 0.74, 0.31], 124.0, 6.9, 0.8),
        sweep("frame_rate", "frames/s", [25, 22, 20, 12.5, 6.25], [1.0, 0.86, 0.77, 0.52, 0.2], 20.8, 1.2, 0.8),
        sweep("light_down", "stops", [0, -2, -4, -6], [1.0, 0.95, 0.82, 0.4], -4.1, 4.1, 0.8),
        sweep("light_up", "stops", [0, 1, 2, 3, 4], [1.0, 0.99, 0.97, 0.93, 0.88], None, 4.0, 0.8),
        sweep("shutter", "intervals", [1, 3, 5, 7, 9], [1.0, 0.9, 0.78, 0.6, 0.5], 4.7, 4.7, 0.8),
        sweep("compression", "quality", [100, 40, 10, 4], [1.0, 0.99, 0.95, 0.7], 6.0, 16.7, 0.8),
        sweep("flicker", "stops", [0, 0.5, 1, 2], [1.0, 0.99, 0.96, 0.9], None, 2.0, 0.8),
    )

    def measure(name: str, place: str, value: float, unit: str, **ranges: float | str | None) -> PictureMeasure:
        low, high, axis = ranges.get("low"), ranges.get("high"), str(ranges.get("axis", ""))
        inside = None if not axis else (low is None or value >= low) and (high is None or value <= high)  # type: ignore[operator]
        return PictureMeasure(
            measure=name, place=place,  # type: ignore[arg-type]
            figure=figure(f"{name}.{place}", value, unit, 0.05 * value),
            safe_low=None if low is None else figure(f"{name}.{place}.low", low, unit),  # type: ignore[arg-type]
            safe_high=None if high is None else figure(f"{name}.{place}.high", high, unit),  # type: ignore[arg-type]
            axis=axis, inside=inside, frames=frames,
            values=tuple(value * (1 + 0.05 * math.sin(frame)) for frame in frames),
        )  # fmt: skip

    picture = (
        measure("blur", "object", 0.24, "share", high=0.52, axis="resolution"),
        measure("blur", "background", 0.22, "share"),
        measure("luma", "object", 0.41, "luma", low=0.03, axis="light_down"),
        measure("luma", "background", 0.47, "luma"),
        measure("dark_share", "object", 0.01, "share", high=0.6, axis="light_down"),
        measure("bright_share", "object", 0.002, "share"),
        measure("dark_share", "background", 0.02, "share"),
        measure("bright_share", "background", 0.01, "share"),
        measure("noise", "object", 2.1, "levels", high=5.2, axis="light_down"),
        measure("noise", "background", 1.9, "levels"),
        measure("flicker", "object", 0.04, "stops"),
        measure("flicker", "background", 0.03, "stops"),
        measure("blockiness", "object", 1.05, "ratio", high=2.4, axis="compression"),
        measure("blockiness", "background", 1.04, "ratio"),
        measure("size_px", "object", 5200.0, "px2", low=110.0, axis="resolution"),
        measure("size_tokens", "object", 11.2, "tokens"),
        measure("motion", "object", 0.12, "sizes/frame", high=0.14, axis="frame_rate"),
        measure("cuts", "frame", 0.0, "count"),
        measure("frozen", "frame", 0.0, "share"),
        measure("lookalike", "background", -0.03, "cosine"),
    )
    inputs = CostInputs(
        miss=20.0, false_alarm=5.0, review_minute=1.0, objects_per_hour=600.0, review_seconds=35.5, given=("miss",)
    )
    points = cost_points(inputs)
    best = min(points, key=lambda point: point.cost)
    stock = next(point for point in points if point.threshold_logit == 0)
    cost = Cost(
        inputs=inputs,
        points=points,
        best_threshold=figure("cost.best_threshold", best.threshold_logit, "logit", 0.8, metric="object_score_logit"),
        best_cost=Figure(
            name="cost.best", value=best.cost, unit="cost/h", low=best.cost_low, high=best.cost_high,
            metric="object_score_logit",
        ),
        stock_cost=figure("cost.stock", stock.cost, "cost/h", 0.2 * stock.cost, metric="object_score_logit"),
        misses=figure("cost.misses", 1000 * best.miss_share, "per 1000", 5.0, metric="object_score_logit"),
        false_alarms=figure(
            "cost.false_alarms", 600 * best.false_alarm_share, "1/h", 8.0, metric="object_score_logit"
        ),
        review=figure("cost.review", 41.0, "minutes/h", 6.0, metric="object_score_logit"),
        labelling=figure("cost.labelling", None, "seconds", state="labelling was not measured on this clip"),
        visible_frames=812,
        absent_frames=240,
        independent_looks=105,
        least_miss_share=figure("cost.least_miss_share", 3 / 105, "share", metric="object_score_logit"),
        seconds_for_certainty=figure("cost.seconds_for_certainty", 120.0, "seconds", metric="object_score_logit"),
        sure=False,
    )  # fmt: skip
    given = truth == "given"
    missing = "no true masks were given"
    baseline = Baseline(
        j=figure("baseline.j", 0.87, "share", 0.04, metric="j")
        if given
        else figure("baseline.j", None, "share", state=missing, metric="j"),
        consistency=figure("baseline.consistency", None, "share", state="true masks were given")
        if given
        else figure("baseline.consistency", 0.91, "share", 0.03, metric="forward_backward_j"),
        score=figure("baseline.score", 6.4, "logit", metric="object_score_logit"),
        predicted_iou=figure("baseline.predicted_iou", 0.9, "share", metric="predicted_iou"),
        losses=figure("baseline.losses", 0.0, "count", metric="loss"),
        prompt_area=figure("prompt.area", 0.013, "share"),
        prompt_border=figure("prompt.border", 0.0, "share"),
        prompt_score=figure("prompt.score", 8.8, "logit", metric="object_score_logit"),
        black_frames=figure("baseline.black_frames", 0.0, "share"),
    )
    plan = (
        Advice(
            rule="start_short", key="start_short", stage="now", cites=("stock.horizon",),
            values={"seconds": 7.2, "frames": 180.0},
        ),
        Advice(
            rule="raise_frame_rate", key="raise_frame_rate", stage="mitigate",
            cites=("frame_rate.limit", "frame_rate.spare", "motion.object"), opens="frame_rate.spare", opens_at=1.5,
            opens_when="at least", values={"limit": 20.8, "present": 25.0},
        ),
        Advice(
            rule="lookalikes", key="lookalikes", stage="mitigate", cites=("lookalike.background",),
            opens="lookalike.background", opens_at=0.0, opens_when="at least", values={"margin": -0.03},
        ),
        Advice(
            rule="long_watch", key="long_watch", stage="wait", cites=("stock.horizon", "stock.reprompt_interval"),
            opens="stock.horizon", opens_at=1500.0, opens_when="at least", values={"frames": 180.0},
        ),
    )  # fmt: skip
    return ReadinessResult(
        clip=ClipFacts(
            name="conveyor", num_frames=250, source_frames=250, start=0, width_px=854, height_px=480, fps=25.0,
            fps_assumed=False, truth=truth, objects=(1,), model="compact", model_size=(352, 640),
            policies=("stock", "composite"), command=("maskscope", "readiness", "conveyor.mp4", "--point", "320,180"),
            maskscope_version="0",
        ),
        baseline=baseline,
        picture=picture,
        sweeps=sweeps,
        endurance=(endurance("stock", 180, 2, 8), endurance("composite", 450, 0, 16)),
        cost=cost,
        plan=plan,
        verdict="mitigate",
        watch=(
            WatchLimit(signal="object_score_logit", low=1.2, high=None, source="cost.best_threshold"),
            WatchLimit(signal="blur.object", low=None, high=0.52, source="blur.object.high"),
            WatchLimit(signal="luma.object", low=0.03, high=None, source="luma.object.low"),
        ),
        notes=("Frame rate: nothing below 3 frames a second was tried.",),
        passes=41,
        frames_tracked=4312,
        seconds=251.0,
    )  # fmt: skip


def too_short(result: ReadinessResult | None = None) -> ReadinessResult:
    """The same with nothing found of the frame rate, as of a clip that has one frame a second."""
    result = result or made_up_readiness()
    (rate,) = [each for each in result.sweeps if each.axis == "frame_rate"]
    state = "nothing lower can be tried"
    untried = replace(
        rate, present=1.0, points=rate.points[:1],
        limit=figure("frame_rate.limit", None, "frames/s", state=state),
        spare=figure("frame_rate.spare", None, "ratio", state=state),
        sentence=Sentence(key="frame_rate.untried", values={}),
    )  # fmt: skip
    untried = advise(untried)
    sweeps = tuple(untried if each is rate else each for each in result.sweeps)
    return replace(result, sweeps=sweeps)
