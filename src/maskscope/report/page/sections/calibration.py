"""Whether the model's own scores can be believed."""

from __future__ import annotations

from typing import Final

from maskscope.evaluate.statistics import Interval
from maskscope.report.page.charts import Chart, cells, dots, new_figure, shifts
from maskscope.report.page.intervals import mean_of
from maskscope.report.page.names import colour_of
from maskscope.report.page.section import Evidence, Section

_METRICS: Final = {
    "predicted_iou.ece": "predicted IoU:<br>calibration error",
    "predicted_iou.bias": "predicted IoU:<br>bias",
    "object_score.ece": "object score:<br>calibration error",
    "object_score.ece_floor": "object score:<br>error by chance",
    "object_score.bias": "object score:<br>bias",
}


def section(evidence: Evidence) -> Section:
    """Calibration error and bias of predicted IoU and object score."""
    anchor, heading = "calibration", "The model's own scores"
    question = "Can its confidence be used as an alarm?"
    rows = evidence.rows
    names = [name for name in _METRICS if any(row.value is not None for row in rows.of(name))]
    if not names:
        return Section(
            anchor, heading, question, missing="Scores were not compared with the truth (metric predicted_iou.ece)."
        )
    figure, at, table = new_figure(90 + 74 * len(names)), list(range(len(names))), []
    biases: dict[str, Interval] = {}
    for condition, shift in zip(evidence.conditions, shifts(len(evidence.conditions), 0.5), strict=True):
        values = [mean_of(rows.of(name, condition)) for name in names]
        if not any(values):
            continue
        colour = colour_of(evidence.index(condition))
        dots(figure, at, values, name=str(condition), colour=colour, sideways=True, shift=shift, line=False)
        for name, value in zip(names, values, strict=True):
            table.append([str(condition), _METRICS[name].replace("<br>", " "), *cells(value)])
            if value is not None and name == "predicted_iou.bias":
                biases[str(condition)] = value
    figure.update_yaxes(tickvals=at, ticktext=[_METRICS[name] for name in names], range=[len(names) - 0.4, -0.6])
    figure.update_xaxes(
        title="forecast less truth (bias), or its size (error); -1 to 1", zeroline=True, zerolinecolor="#4c566a"
    )
    title = "Forecasts and truth differ as shown"
    if biases:
        where = max(biases, key=lambda name: abs(biases[name].estimate))
        way = "too sure" if biases[where].estimate > 0 else "too careful"
        under = where if where == "as filmed" else f"under {where}"
        title = f"Predicted IoU is most off {under}: {abs(biases[where].estimate):.2f} {way}"
    note = (
        "Calibration error: how far the forecasts are from what comes true, 0 is right; of the object score it means "
        "nothing unless well above the error by chance. Bias: above 0 the model is too sure of itself. A single "
        "clip gives one figure and no interval."
    )
    return Section(
        anchor, heading, question, [Chart(title, figure, note, ("condition", "figure", "value", "low", "high"), table)]
    )
