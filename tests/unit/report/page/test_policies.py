"""The memory policy that the page names: read from what was measured, and nothing without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskscope.report import policy_advice
from maskscope.report.page.policies import advised
from maskscope.report.page.rows import Condition
from maskscope.report.policy_advice import PolicyAdvice, write_advice

OCCLUSION, SPEED = Condition("occlusion", 4, False), Condition("speed", 4, False)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_advice, "folder", lambda: tmp_path)


@pytest.mark.usefixtures("measured")
def test_what_was_measured_is_named_with_its_interval() -> None:
    command = "maskscope track VIDEO --policy gated"
    gated = PolicyAdvice("gated", 0.031, 0.01, 0.052, "4-5", command, "compact", 30)
    stock = PolicyAdvice("stock", 0.0, 0.0, 0.0, "1-5", "maskscope track VIDEO", "compact", 30)
    write_advice({"occlusion": gated, "speed": stock})
    assert advised([OCCLUSION, SPEED]) == (
        "Under occlusion the policy gated gained most surely on 30 clips, +3.1 points of J&F "
        f"(95 % interval +1.0 to +5.2): {command}. "
        "Of the policies compared on 30 clips none is surely better than stock under speed."
    )


@pytest.mark.usefixtures("measured")
def test_nothing_is_said_where_nothing_was_compared() -> None:
    assert advised([OCCLUSION]) == ""


@pytest.mark.usefixtures("measured")
def test_a_film_of_ones_own_gets_the_strongest_advice_beside() -> None:
    """What happened in it is nobody's condition; what helped most, and where, is told."""
    command = "maskscope track VIDEO --policy composite"
    composite = PolicyAdvice("composite", 0.2, 0.1, 0.3, "4-5", command, "compact", 10)
    stock = PolicyAdvice("stock", 0.0, 0.0, 0.0, "0", "maskscope track VIDEO", "compact", 10)
    write_advice({"clean": stock, "speed": stock, "occlusion": composite})
    text = advised([Condition("", 0)])
    assert text == (
        "Of the policies compared on 10 clips none is surely better than stock on clips as filmed. "
        "Under occlusion of severity 4-5 the policy composite gained most surely on 10 clips, +20.0 points of J&F "
        f"(95 % interval +10.0 to +30.0): {command}."
    )
    assert advised([Condition("", 0), OCCLUSION]).count("composite gained most surely") == 1, "said once"
    assert "composite" not in advised([SPEED]), "a condition that was measured has its own answer"
    write_advice({"clean": stock})
    assert advised([Condition("", 0)]) == text.partition(". ")[0] + "."


@pytest.mark.usefixtures("measured")
def test_what_was_measured_at_another_severity_says_at_which() -> None:
    """A gain where the object is hidden altogether is none where half of it is."""
    severe = PolicyAdvice("composite", 0.2, 0.1, 0.3, "4-5", "command", "compact", 10)
    half = PolicyAdvice("stock", 0.0, 0.0, 0.0, "3", "command", "compact", 9)
    write_advice({"occlusion": severe, "occlusion:4-5": severe, "occlusion:3": half})
    told = {severity: advised([Condition("occlusion", severity)]) for severity in (1, 3, 5)}
    assert told[5].startswith("Under occlusion (severity 5) the policy composite gained")
    assert told[3].endswith("9 clips none is surely better than stock under occlusion (severity 3).")
    assert told[1].startswith("Under occlusion of severity 4-5 the policy composite gained")
