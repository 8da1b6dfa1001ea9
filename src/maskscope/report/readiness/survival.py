"""How long tracks last, and which occlusions they survive, by memory policy."""

from __future__ import annotations

from collections import defaultdict

from maskscope.readiness.parts import Endurance
from maskscope.readiness.result import ReadinessResult
from maskscope.report.page.charts import Chart
from maskscope.report.page.section import Section
from maskscope.report.readiness.look import LINES, add_band, add_line, drawing, translucent
from maskscope.report.readiness.saying import Saying, plain_number


def section(result: ReadinessResult, words: Saying) -> Section:
    """The survival curve and the trials of occlusion."""
    say, found = words.say, result.endurance
    parts = [_survival(found, words)] if any(each.survival for each in found) else []
    if any(each.trials for each in found):
        parts.append(_trials(found, words))
    return Section("survival", say("survival.heading"), say("survival.question"), parts)


def _survival(found: tuple[Endurance, ...], words: Saying) -> Chart:
    say = words.say
    figure = drawing(340, say.language, say("survival.frames"), say("survival.share"))
    played = max(each.frames_played for each in found)
    for number, each in enumerate(found):
        if not each.survival:
            continue
        colour = LINES[number % len(LINES)]
        last = each.survival[-1]
        frames = [*(step.frames for step in each.survival), max(last.frames, _end(each))]
        shares, lows, highs = (
            [100 * getattr(step, name) for step in (*each.survival, last)] for name in ("share", "low", "high")
        )
        band = say("survival.band", policy=each.policy)
        add_band(figure, frames, lows, highs, band, translucent(colour), steps=True)
        add_line(figure, frames, shares, each.policy, colour, steps=True)
    figure.update_yaxes(range=[0, 105])
    return Chart(say("survival.title"), figure, say("survival.note", frames=played))


def _end(endurance: Endurance) -> int:
    """So far one track could have been followed: the horizon where none was lost, else the last loss."""
    horizon = endurance.horizon
    return int(horizon.value or 0) if horizon.bound == "at least" else endurance.survival[-1].frames


def _trials(found: tuple[Endurance, ...], words: Saying) -> Chart:
    say = words.say
    figure = drawing(320, say.language, say("survival.trials_frames"), say("survival.trials_share"))
    table = []
    for number, each in enumerate(found):
        for kind, dash in (("cover", "solid"), ("foreign", "dot")):
            lengths: dict[int, list[bool]] = defaultdict(list)
            for trial in each.trials:
                if trial.kind == kind:
                    lengths[trial.length_frames].append(trial.found)
            if not lengths:
                continue
            name = say("survival.trial_line", policy=each.policy, kind=say(f"survival.{kind}"))
            places = sorted(lengths)
            shares = [100 * sum(lengths[at]) / len(lengths[at]) for at in places]
            add_line(figure, places, shares, name, LINES[number % len(LINES)], markers=True, dash=dash)
            table += [
                (name, str(at), f"{plain_number(share)} %", str(len(lengths[at])))
                for at, share in zip(places, shares, strict=True)
            ]
    figure.update_yaxes(range=[-4, 105])
    header = [say(f"survival.column_{name}") for name in ("policy", "length", "found", "trials")]
    return Chart(say("survival.trials_title"), figure, say("survival.trials_note"), header, table)
