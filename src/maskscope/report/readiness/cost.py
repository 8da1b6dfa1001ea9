"""Expected cost against the threshold of the object score, with what it is made of."""

from __future__ import annotations

from maskscope.readiness.result import ReadinessResult
from maskscope.report.page.charts import Chart
from maskscope.report.page.section import Section
from maskscope.report.readiness.look import BAND, BLUE, GREEN, GREY, RED, add_band, add_line, add_point, drawing
from maskscope.report.readiness.saying import Saying


def section(result: ReadinessResult, words: Saying) -> Section:
    """The cost curve, and misses and false alarms on the same axis."""
    say = words.say
    parts = (_cost(result, words), _errors(result, words)) if result.cost.points else ()
    return Section("cost-curve", say("cost_curve.heading"), say("cost_curve.question"), parts)


def _cost(result: ReadinessResult, words: Saying) -> Chart:
    say, cost = words.say, result.cost
    figure = drawing(340, say.language, say("cost_curve.threshold"), say("cost_curve.cost"))
    x = [point.threshold_logit for point in cost.points]
    lows, highs = [p.cost_low for p in cost.points], [p.cost_high for p in cost.points]
    add_band(figure, x, lows, highs, say("cost_curve.band"), BAND)
    add_line(figure, x, [point.cost for point in cost.points], say("cost_curve.line"))
    best, at = cost.best_cost.value, cost.best_threshold.value
    if best is not None and at is not None:
        add_point(figure, at, best, say("cost_curve.best"), GREEN, "diamond")
    if cost.stock_cost.value is not None:
        add_point(figure, 0.0, cost.stock_cost.value, say("cost_curve.stock"), GREY, "square")
    figure.update_yaxes(rangemode="tozero")
    return Chart(say("cost_curve.title"), figure, say("cost_curve.note"))


def _errors(result: ReadinessResult, words: Saying) -> Chart:
    say, points = words.say, result.cost.points
    figure = drawing(300, say.language, say("cost_curve.threshold"), say("cost_curve.share"))
    x = [point.threshold_logit for point in points]
    add_line(figure, x, [100 * point.miss_share for point in points], say("cost_curve.misses"), RED)
    add_line(figure, x, [100 * p.false_alarm_share for p in points], say("cost_curve.false_alarms"), BLUE, dash="dash")
    figure.update_yaxes(range=[-2, 105])
    return Chart(say("cost_curve.errors_title"), figure, say("cost_curve.errors_note"))
