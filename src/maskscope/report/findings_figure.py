"""Figures of the findings as SVG: ratios by stage, the curve along the taps, blame by condition."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from maskscope.evaluate.statistics import Interval
from maskscope.extras import load_extra
from maskscope.report.findings_shape import REGIONS, Findings
from maskscope.report.findings_words import NOT_DETERMINED, short
from maskscope.report.page.names import colour_of
from maskscope.report.page.rows import CLEAN
from maskscope.report.page.sections.separation import label_of
from maskscope.stages import STAGES, Stage

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#8f98a8"
_REGION_COLOURS: Final = {"object": _BLUE, "background": _ORANGE}
_NOT_DETERMINED_COLOUR: Final = "#cbd2dd"


def draw(found: Findings, name: str) -> str:
    """An SVG picture.

    Args:
        found: to be shown.
        name: "filtering", "emergence" or "losses".

    Raises:
        SettingError: Matplotlib is not installed.
    """
    makers: dict[str, Callable[[Findings, Any], None]] = {
        "filtering": _filtering,
        "emergence": _emergence,
        "losses": _losses,
    }
    library = load_extra("matplotlib", "report", "figures")
    # Text stays text, and ids follow from the salt: equal figures are equal files.
    with library.rc_context({"svg.fonttype": "none", "svg.hashsalt": "maskscope", "font.size": 9}):
        figure = load_extra("matplotlib.figure", "report", "figures").Figure(layout="constrained")
        makers[name](found, figure)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue().decode()


def _filtering(found: Findings, figure: Any) -> None:
    """A panel for each stage; small dots are transformations, the large one all of them."""
    stages = list(dict.fromkeys(each.stage for each in found.passages))
    figure.set_size_inches(9, 3.4)
    panels = figure.subplots(1, len(stages), sharey=True, squeeze=False)[0]
    for axes, stage in zip(panels, stages, strict=True):
        axes.axhline(1, color="0.6", linewidth=0.9)
        for place, region in enumerate(REGIONS):
            passage = next((each for each in found.passages if (each.stage, each.region) == (stage, region)), None)
            if passage is None:
                continue
            colour, values = _REGION_COLOURS[region], [e.interval.estimate for e in passage.by_condition.values()]
            spread = [place + 0.14 + 0.24 * n / max(len(values) - 1, 1) for n in range(len(values))]
            axes.plot(spread, values, ".", color=colour, alpha=0.45, markersize=4)
            _bars(axes, [place - 0.08], [passage.ratio.interval], colour)
        axes.set_title(f"to {short(stage)}", fontsize=9)
        axes.set_xticks(range(len(REGIONS)), REGIONS)
        axes.set_xlim(-0.5, 1.6)
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("distance behind / before the stage")
    figure.suptitle("What a stage leaves of a disturbance: below 1 it filters (bars: 95 %; dots: transformations)")


def _emergence(found: Findings, figure: Any) -> None:
    """Separation at the taps, and beside it J of masks decoded early."""
    taps = list(found.taps)
    decoded = found.early.get(CLEAN, {})
    figure.set_size_inches(9, max(3.0, 0.24 * len(taps) + 1.2))
    panels = figure.subplots(1, 2 if taps and decoded else 1, squeeze=False)[0]
    index = 0
    dashed = ""
    if taps:
        axes = panels[index]
        index += 1
        _down(axes, [label_of(place) for place in taps], [found.taps[place][0] for place in taps], _BLUE, "object")
        control = [(at, interval) for at, place in enumerate(taps) if (interval := found.taps[place][1]) is not None]
        if control:
            _bars(axes, [at + 0.2 for at, _ in control], [i for _, i in control], _GREY, True, "control task")
        step = found.onset.get("above_control") or found.onset.get("separation_auc")
        names = [f"{place.stage}/{place.tap}" for place in taps]
        if step is not None and step.get("tap") in names:
            axes.axhline(names.index(step["tap"]) - 0.5, color="#b48600", linestyle="--", linewidth=1.2)
            dashed = "; dashed: the step"
        axes.set_xlabel("AUC, object against background")
        axes.legend(frameon=False, fontsize=8)
    if decoded:
        axes = panels[index]
        _down(axes, [label_of(place) for place in decoded], list(decoded.values()), _BLUE, "J")
        axes.set_xlim(0, 1)
        axes.set_xlabel("J of the mask decoded there")
    figure.suptitle(f"Where the object comes to be separate, on clips as they are (bars: 95 %{dashed})")


def _losses(found: Findings, figure: Any) -> None:
    """Lost frames of each condition, by the stage to blame."""
    shown = [(condition, each) for condition, each in found.blamed.items() if each.frames]
    figure.set_size_inches(9, 0.26 * len(shown) + 1.6)
    axes = figure.subplots()
    begun = [0] * len(shown)
    stages: list[Stage | None] = [*STAGES, None]
    for number, stage in enumerate(stages, 1):
        frames = [each.stages.get(stage, 0) for _, each in shown]
        if any(frames):
            colour = colour_of(number) if stage else _NOT_DETERMINED_COLOUR
            name = short(stage) if stage else NOT_DETERMINED
            axes.barh(range(len(shown)), frames, left=begun, color=colour, label=name, height=0.7)
            begun = [a + b for a, b in zip(begun, frames, strict=True)]
    axes.set_yticks(range(len(shown)), [str(condition) for condition, _ in shown])
    axes.invert_yaxis()
    axes.set_xlabel(f"lost frames of {len(found.clips)} clips")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(stages), frameon=False, fontsize=8)
    figure.suptitle("Frames on which the object is lost, by the stage to blame")


def _down(axes: Any, names: Sequence[str], values: Sequence[Interval], colour: str, label: str) -> None:
    """Points from top to bottom."""
    _bars(axes, list(range(len(names))), values, colour, True, label)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color="0.92")
    axes.spines[["top", "right"]].set_visible(False)


def _bars(
    axes: Any, at: Iterable[float], values: Sequence[Interval], colour: str, sideways: bool = False, label: str = ""
) -> None:
    """Estimates with the ends of their intervals; an estimate outside its interval, which BCa allows, has no bar."""
    estimates = [each.estimate for each in values]
    ends = [
        [max(each.estimate - each.low, 0) for each in values],
        [max(each.high - each.estimate, 0) for each in values],
    ]
    style: Mapping[str, Any] = {"fmt": "o", "color": colour, "markersize": 4.5, "linewidth": 1.4, "capsize": 2}
    named = {"label": label} if label else {}
    if sideways:
        axes.errorbar(estimates, list(at), xerr=ends, **style, **named)
    else:
        axes.errorbar(list(at), estimates, yerr=ends, **style, **named)
