"""The memory policy that the page names: read from what was measured, and nothing without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskscope.report import policy_advice
from maskscope.report.page.policies import advised
from maskscope.report.page.rows import Condition
from maskscope.report.policy_advice import PolicyAdvice, write_advice

OCCLUSION, SPEED = Condition("occlusion", 3, False), Condition("speed", 3, False)


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
        "Under occlusion the policy gated gained most on 30 clips, +3.1 points of J&F "
        f"(95 % interval +1.0 to +5.2): {command}. "
        "Of the policies compared on 30 clips none is surely better than stock under speed."
    )


@pytest.mark.usefixtures("measured")
def test_nothing_is_said_where_nothing_was_compared() -> None:
    assert advised([OCCLUSION]) == ""
