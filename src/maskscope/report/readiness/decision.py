"""The first part of the page: what can start, what it needs, how long it holds, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape

from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import STAGES, Advice, Cost, Endurance, Sweep
from maskscope.readiness.result import ReadinessResult
from maskscope.report.readiness.saying import Saying, number_id, plain_number
from maskscope.report.readiness.wording import Wording

_SWUNG = ("light_down", "light_up", "flicker")  # whose levels are stops away from the present
_MOVED = ("frame_rate", "shutter")  # whose harm is motion


@dataclass(frozen=True)
class Decision:
    """The parts as HTML.

    Attributes:
        result: that is told.
        words: that it is told in.
    """

    result: ReadinessResult
    words: Saying

    @property
    def say(self) -> Wording:
        """The catalogue."""
        return self.words.say

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """By name."""
        return self.result.figures()

    def html(self) -> str:
        """All parts, in the order of reading."""
        return self.verdict() + self.plan() + self.needs() + self.endurance() + self.cost()

    def verdict(self) -> str:
        """The stage of the installation as a whole."""
        verdict = self.result.verdict
        starts = verdict == "now" or any(advice.stage == "now" for advice in self.result.plan)
        text = self.say(f"verdict.{verdict}_text" if starts else "verdict.nothing_now_text")
        headline = escape(self.say(f"verdict.{verdict}"))
        return f'<div class="headline {verdict}"><strong>{headline}</strong><p>{escape(text)}</p></div>'

    def plan(self) -> str:
        """Advice by stage, each with what it rests on and what opens the next stage."""
        columns = []
        for stage in STAGES:
            items = "".join(self._advice(each) for each in self.result.plan if each.stage == stage)
            items = items or f'<li class="quiet">{escape(self.say("stage.empty"))}</li>'
            heading = escape(self.say(f"stage.{stage}"))
            columns.append(f'<div class="stage {stage}"><h3>{heading}</h3><ul>{items}</ul></div>')
        return f'<div class="stages">{"".join(columns)}</div>'

    def _advice(self, advice: Advice) -> str:
        cited = [self.figures[name] for name in advice.cites if name in self.figures]
        lines = [f"<p>{escape(self.advised(advice))}</p>"]
        if cited:
            told = ", ".join(f"{escape(self.words.label(each.name))} {self.words.traced(each)}" for each in cited)
            told = told.replace(", ", escape(self.say("page.list_separator")))
            lines.append(f'<p class="quiet">{self.say("stage.measured", figures=told)}</p>')
        opening = self.figures.get(advice.opens)
        if opening is not None and advice.opens_at is not None:
            key = "stage.opens_most" if advice.opens_when == "at most" else "stage.opens_least"
            text = self.say(
                key,
                figure=self.words.label(opening.name),
                target=self.words.number(advice.opens_at, opening.unit),
                present=self.words.value(opening),
            )
            lines.append(f'<p class="opens">{escape(text)}</p>')
        return f'<li id="advice-{escape(advice.rule)}">{"".join(lines)}</li>'

    def advised(self, advice: Advice) -> str:
        """What a rule advises."""
        values = {name: plain_number(value) for name, value in advice.values.items()}
        for name, value in advice.values.items():
            if name.endswith("frames"):
                whole = max(1, int(value))
                values[name] = self.words.number(whole, "frames")
                seconds = self.words.number(round(whole / self.result.clip.fps, 2), "seconds")
                values[name.replace("frames", "seconds")] = seconds
        try:
            return self.say(f"advice.{advice.key}", **values)
        except KeyError:
            return self.say("advice.other", rule=advice.rule)

    def needs(self) -> str:
        """A sentence for each axis."""
        items = "".join(
            f"<li><span>{self._sentence(sweep, self._rows(sweep))}</span> "
            f'<span class="quiet">{escape(self._present(sweep))} {escape(self._interval(sweep))}</span></li>'
            for sweep in self.result.sweeps
        )
        return self._section("needs", self._weak() + f'<ul class="needs">{items}</ul>')

    def _weak(self) -> str:
        """A warning where the clip as filmed is not followed well: limits are relative to that."""
        rules = {advice.rule for advice in self.result.plan}
        figure = self.figures.get("baseline.j")
        if figure is None or figure.value is None:
            figure = self.figures.get("baseline.consistency")
        if not rules & {"not_accurate", "fine_tune"} or figure is None or figure.value is None:
            return ""
        return f"<p>{self.say('needs.weak', figure=self.words.traced(figure))}</p>"

    def sentence(self, sweep: Sweep) -> str:
        """What one axis needs."""
        return self._sentence(sweep, {})

    def _sentence(self, sweep: Sweep, rows: Mapping[str, str]) -> str:
        """HTML where `rows` says which figures the numbers lead to, plain text without."""
        values = dict(sweep.sentence.values)
        kept, motion = values.pop("lost_retention", None), values.pop("motion_at_lost", None)
        shown = {"keep": self.words.number(sweep.keep, "share")}
        for name, value in values.items():
            more = name == "advised" and sweep.sentence.key.endswith(".tight")
            shown[name] = self.words.rough(abs(value) if sweep.axis in _SWUNG else value, sweep.unit, more)
        if kept is not None:
            shown["lost_retention"] = self.words.rough(kept, "share")
        for name, row in rows.items():
            if name in shown:
                shown[name] = f'<a class="number" href="#{number_id(row)}">{escape(shown[name])}</a>'
        said = self.say(f"needs.{sweep.sentence.key.replace('.', '_')}", **shown)
        if motion is None or sweep.axis not in _MOVED:
            return said
        space = "" if self.say.language == "ja" else " "
        return f"{said}{space}{self.say('needs.motion', motion=plain_number(motion, 2), lost_at=shown['lost_at'])}"

    def _rows(self, sweep: Sweep) -> dict[str, str]:
        """Names of the figures that the numbers of a sentence are, by the word in it."""
        rows = {"limit": sweep.limit.name, "tried": sweep.limit.name}
        if sweep.advised is not None:
            rows["advised"] = sweep.advised.name
        lost_at = sweep.sentence.values.get("lost_at")
        lost = next((each for each in sweep.points if each.level == lost_at), None)
        return rows if lost is None else rows | {"lost_retention": lost.retention.name}

    def _present(self, sweep: Sweep) -> str:
        if sweep.axis in _SWUNG:
            return self.say("needs.present_same")
        return self.say("needs.present_level", present=self.words.number(sweep.present, sweep.unit))

    def _interval(self, sweep: Sweep) -> str:
        """How exactly the limit is known, where that can be told."""
        limit = sweep.limit
        if limit.low is None or limit.high is None:
            return ""
        ends = (abs(x) if sweep.axis in _SWUNG else x for x in (limit.low, limit.high))
        low, high = (self.words.rough(each, sweep.unit) for each in sorted(ends))
        return self.say("needs.interval", low=low, high=high)

    def endurance(self) -> str:
        """Of each policy."""
        columns = ("policy", "horizon", "occlusion", "reprompt")
        head = "".join(f"<th>{escape(self.say(f'endurance.{name}'))}</th>" for name in columns)
        rows = "".join(self._policy(each, index == 0) for index, each in enumerate(self.result.endurance))
        shares = {each.loss_share for each in self.result.endurance}
        under = "".join(
            f'<p class="quiet">{escape(self.say("endurance.under", share=self.words.number(share, "share")))}</p>'
            for share in sorted(shares)
        )
        table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        return self._section("endurance", table + under)

    def _policy(self, endurance: Endurance, stock: bool) -> str:
        name = self.say("endurance.stock_name", policy=endurance.policy) if stock else endurance.policy
        figures = (endurance.horizon, endurance.longest_occlusion, endurance.reprompt_interval)
        cells = "".join(f"<td>{self.words.traced(each)}{self._seconds(each)}</td>" for each in figures)
        return f"<tr><td>{escape(name)}</td>{cells}</tr>"

    def _seconds(self, figure: Figure) -> str:
        if figure.value is None or figure.unit != "frames":
            return ""
        return f'<br><span class="quiet">{self.words.number(figure.value / self.result.clip.fps, "seconds")}</span>'

    def cost(self) -> str:
        """Tiles, what they rest on, and how sure they are."""
        cost = self.result.cost
        tiles = {
            "best_threshold": cost.best_threshold,
            "best": cost.best_cost,
            "stock": cost.stock_cost,
            "misses": cost.misses,
            "false_alarms": cost.false_alarms,
            "review": cost.review,
            "labelling": cost.labelling,
        }
        shown = "".join(
            f'<div class="tile"><span>{escape(self.say(f"cost.{name}"))}</span>{self.words.traced(figure)}</div>'
            for name, figure in tiles.items()
        )
        sure = "".join(
            f'<p class="quiet">{escape(text)}</p>'
            for text in (self._inputs(cost), self._sure(cost), self._labelling(cost))
            if text
        )
        return self._section("cost", f'<div class="tiles">{shown}</div>{sure}')

    def _inputs(self, cost: Cost) -> str:
        inputs = cost.inputs
        names = self.say("page.list_separator").join(self.say(f"cost.input_{name}") for name in inputs.given)
        given = self.say("cost.given", names=names) if names else self.say("cost.given_none")
        return self.say(
            "cost.inputs",
            miss=plain_number(inputs.miss),
            false_alarm=plain_number(inputs.false_alarm),
            review_minute=plain_number(inputs.review_minute),
            objects=plain_number(inputs.objects_per_hour),
            review_seconds=self.words.number(inputs.review_seconds, "seconds"),
            given=given,
        )

    def _labelling(self, cost: Cost) -> str:
        study = cost.labelling_study
        if study is None or not study.labels:
            return ""
        before, after = (self.words.number(each, "share") for each in (study.before, study.after))
        return self.say("cost.labelling_study", labels=study.labels, clips=study.clips, before=before, after=after)

    def _sure(self, cost: Cost) -> str:
        counts = {"looks": cost.independent_looks, "visible": cost.visible_frames, "absent": cost.absent_frames}
        if cost.sure:
            return self.say("cost.sure", **counts)
        least, needed = (self.words.value(each) for each in (cost.least_miss_share, cost.seconds_for_certainty))
        return self.say("cost.unsure", least=least, needed=needed, **counts)

    def _section(self, name: str, content: str) -> str:
        heading, question = escape(self.say(f"{name}.heading")), escape(self.say(f"{name}.question"))
        return f'<section id="{name}"><h2>{heading}</h2><p class="question">{question}</p>{content}</section>'
