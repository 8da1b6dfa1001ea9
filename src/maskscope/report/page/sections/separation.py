"""Separation of object and background from one position to the next, and where along the taps it sets in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskscope.evaluate.statistics import Interval
from maskscope.report.page.charts import Chart, broken, cells, dots, new_figure, shifts
from maskscope.report.page.intervals import mean_of
from maskscope.report.page.names import SHORT_NAMES, colour_of, sentence, with_ends
from maskscope.report.page.rows import CLEAN, Condition, Place
from maskscope.report.page.section import Evidence, Section

METRIC = "separation_auc"
_BASELINES = (("separation_auc_position", "place alone", "dot"), ("separation_auc_rgb", "colour alone", "dash"))


def through_the_stages(evidence: Evidence) -> Section:
    """A line for each condition, against place alone, colour alone and the control task."""
    places = evidence.rows.places(METRIC, taps=False)
    anchor, heading = "separation", "Separation through the stages"
    question = "How far apart are object and background at each position?"
    if not places:
        return Section(anchor, heading, question, missing="Separation was not measured (metric separation_auc).")
    found = {each: _intervals(evidence, each, places) for each in evidence.conditions}
    found = {each: values for each, values in found.items() if any(values)}
    figure = new_figure(400)
    at = list(range(len(places)))
    lines = len(found) + 1
    for (condition, values), shift in zip(found.items(), shifts(lines, 0.24), strict=False):
        colour = colour_of(evidence.index(condition))
        dots(figure, at, values, name=str(condition), colour=colour, shift=shift)
    first = next(iter(found))
    control = [mean_of(evidence.rows.at(f"{METRIC}_control", first, place)) for place in places]
    if any(control):
        dots(figure, at, control, name="control task", colour="#8f98a8", shift=0.12, symbol="x", dash="dot")
    baselines = [(name, dash, mean_of(evidence.rows.at(metric, first, None))) for metric, name, dash in _BASELINES]
    for name, dash, value in baselines:
        if value is not None:
            whole: list[Interval | None] = [Interval(value.estimate, value.estimate, value.estimate)] * len(at)
            dots(figure, at, whole, name=name, colour="#8f98a8", dash=dash, symbol="line-ew")
    figure.update_xaxes(
        tickvals=at, ticktext=[broken(SHORT_NAMES[place.stage]) for place in places], title="position", tickangle=0
    )
    figure.update_yaxes(title="AUC, object against background")
    header = ("condition", "position", "AUC", "low", "high")
    table = [
        [str(condition), SHORT_NAMES[place.stage], *cells(value)]
        for condition, values in found.items()
        for place, value in zip(places, values, strict=True)
    ]
    note = (
        "AUC is the chance that a cell of the object scores above a cell of the background, by a linear read-out "
        "fitted on the prompted frame: 0.5 tells nothing apart, 1 everything. It means something only above place "
        "alone, colour alone and the control task (a region of the same shape elsewhere). The object pointer is one "
        "vector and has no background; memory features are made from the mask, so there it shows by construction."
    )
    return Section(anchor, heading, question, [Chart(_title(places, found), figure, note, header, table)])


def along_the_taps(evidence: Evidence) -> Section:
    """Separation at every tap, with the onset marked, and what the frozen mask decoder makes of each layer."""
    anchor, heading = "onset", "Onset along the taps"
    question = "At which layer does the object come to be separate?"
    places = evidence.rows.places(METRIC, taps=True)
    parts: list[Chart | str] = []
    if any(place.tap for place in places):
        parts.append(_onset_chart(evidence, places))
    if early := evidence.rows.places("early_j", taps=True):
        parts.append(_early_chart(evidence, early))
    missing = "" if parts else "No tap inside the stages was measured (metric separation_auc with taps)."
    return Section(anchor, heading, question, parts, missing)


def _onset_chart(evidence: Evidence, places: Sequence[Place]) -> Chart:
    inside = [place for place in places if place.tap]
    shown = [each for each in evidence.conditions if any(_intervals(evidence, each, inside))]
    figure, table = _down_the_taps(evidence, METRIC, shown, places)
    figure.update_xaxes(title="AUC, object against background")
    onsets = evidence.rows.of("onset", CLEAN)
    found = next((row for row in onsets if row.stage is not None and row.value is not None), None)
    if found is not None and found.stage is not None and (place := Place(found.stage, found.tap)) in places:
        p = next((row.value for row in evidence.rows.of("onset_p", CLEAN)), None)
        ends = [
            next((Place(row.stage, row.tap) for row in evidence.rows.of(metric, CLEAN) if row.stage), place)
            for metric in ("onset_earliest", "onset_latest")
        ]
        low, high = (places.index(end) if end in places else places.index(place) for end in ends)
        figure.add_hrect(y0=low - 0.5, y1=high + 0.5, fillcolor="#ebcb8b", opacity=0.35, line_width=0, layer="below")
        figure.add_hline(y=places.index(place) - 0.5, line={"color": "#b48600", "dash": "dash", "width": 1.5})
        sure = "" if p is None else f" (p {p:.3f})" if p >= 0.001 else " (p below 0.001)"
        title = f"As filmed, separation steps up at {label_of(place)}, by {found.value:.2f}{sure}"
        note = "The dashed line marks the step, the shaded taps its interval of 95 %. "
    elif onsets:
        title, note = "As filmed, no single step up along the taps can be made out (not determined)", ""
    else:
        means = {place: mean_of(evidence.rows.at(METRIC, shown[0], place)) for place in places}
        best = max((p for p in places if means[p]), key=lambda p: means[p].estimate)  # type: ignore[union-attr]
        title, note = f"Separation is highest at {label_of(best)}", "No test for a step was run. "
    note += "Taps are in the order a frame passes them, from top to bottom."
    return Chart(title, figure, note, ("condition", "tap", "AUC", "low", "high"), table)


def _early_chart(evidence: Evidence, places: Sequence[Place]) -> Chart:
    metric = "early_j"
    shown = [each for each in evidence.conditions if any(evidence.rows.at(metric, each, place) for place in places)]
    figure, table = _down_the_taps(evidence, metric, shown, places)
    figure.update_xaxes(title="J of the mask decoded there", range=[0, 1])
    clean = [mean_of(evidence.rows.at(metric, shown[0], place)) for place in places]
    known = [(place, value) for place, value in zip(places, clean, strict=True) if value is not None]
    (first, before), (last, after) = known[0], known[-1]
    title = (
        f"Decoded at once, {label_of(first)} gives a mask of J {before.estimate:.2f}; at {label_of(last)} it is "
        f"{after.estimate:.2f}"
    )
    note = (
        "The frozen mask decoder applied to features before the end. A low J may also mean that the object is there "
        "in a form that the decoder was not trained on."
    )
    return Chart(title, figure, note, ("condition", "tap", "J", "low", "high"), table)


def _down_the_taps(
    evidence: Evidence, metric: str, shown: Sequence[Condition], places: Sequence[Place]
) -> tuple[Any, list[list[str]]]:
    figure = new_figure(70 + max(24, 8 + 6 * len(shown)) * len(places))
    at = list(range(len(places)))
    table = []
    for condition, shift in zip(shown, shifts(len(shown), 0.5), strict=True):
        values = [mean_of(evidence.rows.at(metric, condition, place)) for place in places]
        colour = colour_of(evidence.index(condition))
        dots(figure, at, values, name=str(condition), colour=colour, sideways=True, shift=shift)
        table += [
            [str(condition), label_of(place), *cells(value)]
            for place, value in zip(places, values, strict=True)
            if value
        ]
    figure.update_yaxes(
        tickvals=at,
        ticktext=[label_of(place) for place in places],
        range=[len(places) - 0.4, -0.6],
        tickfont={"size": 11},
    )
    return figure, table


def label_of(place: Place) -> str:
    """A tap's name in words, or the position's."""
    if not place.tap:
        return SHORT_NAMES[place.stage]
    part, _, rest = place.tap.partition(".")
    words = {
        "trunk": "trunk",
        "neck": "pyramid",
        "memory_attention": "memory layer",
        "mask_decoder": "decoder block",
        "mask_logits": "mask logits",
        "upscaled": "upscaled embedding",
    }
    detail = rest.replace("stride", "stride ").replace(".", " ")
    return f"{words.get(part, part.replace('_', ' '))} {detail}".strip()


def _intervals(evidence: Evidence, condition: Condition, places: Sequence[Place]) -> list[Interval | None]:
    return [mean_of(evidence.rows.at(METRIC, condition, place)) for place in places]


def _title(places: Sequence[Place], found: dict[Condition, list[Interval | None]]) -> str:
    first, values = next(iter(found.items()))
    telling = [place for place in places if place.stage != "memory_features"] or list(places)
    found = {each: [v for p, v in zip(places, values, strict=True) if p in telling] for each, values in found.items()}
    places, values = telling, found[first]
    known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
    if not known:
        return "Separation of the object from its background, from position to position"
    best, highest = max(known, key=lambda pair: pair[1].estimate)
    begin = f"{sentence(str(first))}, separation is highest at {SHORT_NAMES[best.stage]}: {with_ends(highest)}"
    falls = [
        (value.estimate - other.estimate, condition, place)
        for condition, others in found.items()
        if condition != first
        for place, value, other in zip(places, values, others, strict=True)
        if value is not None and other is not None
    ]
    if not falls:
        return begin
    fall, condition, place = max(falls, key=lambda each: each[0])
    if fall <= 0:
        return f"{begin}; no condition lowers it anywhere"
    return f"{begin}; it falls most under {condition}, by {fall:.2f} at {SHORT_NAMES[place.stage]}"
