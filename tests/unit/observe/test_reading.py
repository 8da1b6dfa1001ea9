"""A reading becomes a row of results, and one that says nothing is refused."""

from __future__ import annotations

from typing import Any

import pytest

from maskscope.errors import RecordError
from maskscope.observe.reading import Reading
from maskscope.records import Record


def test_a_reading_becomes_a_row() -> None:
    reading = Reading(
        metric="separation_auc",
        value=0.75,
        stage="memory_conditioned",
        tap="memory_attention.0.self",
        frame=3,
        object=2,
    )
    assert reading.record(run="r", clip="dog", family="speed", severity=2) == Record(
        run="r",
        clip="dog",
        metric="separation_auc",
        value=0.75,
        stage="memory_conditioned",
        tap="memory_attention.0.self",
        frame=3,
        object=2,
        family="speed",
        severity=2,
    )
    assert Reading(metric="m", state="absent").record(run="r", clip="c").state == "absent"


@pytest.mark.parametrize("wrong", [{}, {"value": float("nan")}, {"value": float("inf")}, {"metric": "", "value": 1.0}])
def test_a_reading_that_says_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match=r"neither value nor state|finite|names its metric"):
        Reading(**{"metric": "m"} | wrong)
