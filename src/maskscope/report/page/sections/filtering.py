"""What each stage filters: how far a disturbance still moves the features, and the ratio from stage to stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from maskscope.evaluate.statistics import Interval
from maskscope.report.page.charts import Chart, broken, cells, dots, new_figure, panels, shifts
from maskscope.report.page.intervals import geometric_mean_of, mean_of
from maskscope.report.page.names import SHORT_NAMES, colour_of, listed, with_ends
from maskscope.report.page.rows import Condition, Place
from maskscope.report.page.section import Evidence, Section

DISTANCE, RATIO = "filtering_distance", "filtering_ratio.object"
_REGIONS = ("object", "background")


def section(evidence: Evidence) -> Section:
    """Distances on object and background, and ratios on the object."""
    anchor, heading = "filtering", "What each stage filters"
    question = "Does a disturbance shrink on its way through the model?"
    parts: list[Chart | str] = []
    if places := evidence.rows.places(f"{DISTANCE}.object", taps=False):
        parts.append(_distances(evidence, places))
    if places := evidence.rows.places(RATIO, taps=False):
        parts.append(_ratios(evidence, places))
    missing = "" if parts else "No disturbed run was compared with the clean one (metric filtering_distance.object)."
    return Section(anchor, heading, question, parts, missing)


def _distances(evidence: Evidence, places: Sequence[Place]) -> Chart:
    rows = evidence.rows
    shown = [c for c in rows.disturbed if any(rows.at(f"{DISTANCE}.object", c, place) for place in places)]
    figure = panels(2, 560, ["On the object", "On the background"], vertical_spacing=0.1)
    at, table = list(range(len(places))), []
    found: dict[Condition, list[Interval | None]] = {}
    for number, region in enumerate(_REGIONS, 1):
        for condition, shift in zip(shown, shifts(len(shown), 0.24), strict=True):
            values = [mean_of(rows.at(f"{DISTANCE}.{region}", condition, place)) for place in places]
            if region == "object":
                found[condition] = values
            colour = colour_of(evidence.index(condition))
            dots(figure, at, values, name=str(condition), colour=colour, shift=shift, row=number, legend=number == 1)
            table += [
                [str(condition), region, SHORT_NAMES[place.stage], *cells(value)]
                for place, value in zip(places, values, strict=True)
            ]
        figure.update_yaxes(title_text="distance, in frame steps", rangemode="tozero", row=number, col=1)
        figure.add_hline(y=1, line={"color": "#9aa3b2", "dash": "dot"}, row=number, col=1)
    figure.update_xaxes(tickvals=at, ticktext=[broken(SHORT_NAMES[place.stage]) for place in places], tickangle=0)
    figure.update_xaxes(title_text="position", row=2, col=1)
    figure.update_layout(margin={"t": 60}, legend={"y": 1.06})
    note = (
        "How far the disturbed features are from the clean ones at the same place. The unit is what the clean clip "
        "itself changes from one frame to the next (dotted line): 0 is untouched."
    )
    return Chart(
        _distance_title(places, found), figure, note, ("condition", "on", "position", "distance", "low", "high"), table
    )


def _distance_title(places: Sequence[Place], found: Mapping[Condition, Sequence[Interval | None]]) -> str:
    shrinks: list[Condition] = []
    grows: list[Condition] = []
    for condition, values in found.items():
        known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
        if len(known) > 1:
            last = known[-1][1]
            (shrinks if last.high < known[0][1].low else grows if last.low > known[0][1].high else []).append(condition)
    if not shrinks and not grows:
        return "No condition's disturbance of the object clearly shrinks or grows from the first position to the last"
    said = [f"shrinks under {listed([str(c) for c in shrinks])}"] if shrinks else []
    said += [f"grows under {listed([str(c) for c in grows])}"] if grows else []
    return f"From the first position to the last, the disturbance of the object {' and '.join(said)}"


def _ratios(evidence: Evidence, places: Sequence[Place]) -> Chart:
    rows = evidence.rows
    shown = [c for c in rows.disturbed if any(rows.at(RATIO, c, place) for place in places)]
    figure = new_figure(380)
    at, table = list(range(len(places))), []
    strongest: tuple[float, str] | None = None
    for condition, shift in zip(shown, shifts(len(shown)), strict=True):
        values = [geometric_mean_of(rows.at(RATIO, condition, place)) for place in places]
        colour = colour_of(evidence.index(condition))
        dots(figure, at, values, name=str(condition), colour=colour, shift=shift, line=False)
        for place, value in zip(places, values, strict=True):
            if value is None:
                continue
            short = SHORT_NAMES[place.stage]
            table.append([str(condition), short, *cells(value)])
            if value.high < 1 and (strongest is None or value.estimate < strongest[0]):
                strongest = (
                    value.estimate,
                    f"{short} filters most, under {condition}: {with_ends(value)} of it is left",
                )
    figure.add_hline(y=1, line={"color": INK_LINE, "dash": "dash", "width": 1})
    figure.update_xaxes(
        tickvals=at, ticktext=[broken(SHORT_NAMES[place.stage]) for place in places], title="position",
        range=[-0.5, len(places) - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        title="distance after / before", type="log", tickvals=RATIOS, ticktext=[f"{value:g}" for value in RATIOS]
    )
    title = (
        f"Of the disturbance that reaches it, {strongest[1]}" if strongest else "No stage clearly filters a disturbance"
    )
    note = (
        "The distance on the object at a position over that at the position it is fed from: below 1 the stage filters, "
        "above 1 it amplifies. Geometric means over frames."
    )
    return Chart(title, figure, note, ("condition", "position", "ratio", "low", "high"), table)


INK_LINE: Final = "#4c566a"
RATIOS: Final = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 30, 100)
"""On an axis of ratios: dense where they mostly lie, so that there is more than 1 to read them by."""
