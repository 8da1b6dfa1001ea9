"""A policy with and without a setting: only what differs is said to, and gains are paired."""

from __future__ import annotations

from made_up_policies import LEFT, alike, cells
from maskscope.report.policy_rows import Cell
from policy_setting import rows_of


def clean(policy: str) -> list[Cell]:
    return [Cell("m", policy, "", 0, clip, 1, {"j_and_f": 0.7}) for clip in LEFT]


def test_gains_are_paired_and_clips_that_differ_are_named() -> None:
    found = cells({"mine": alike(LEFT, 0.2), "mine:new=off": alike(LEFT[:1], 0.1) | alike(LEFT[1:], 0.2)})
    rows = rows_of([*found, *clean("mine"), *clean("mine:new=off")], "mine", "mine:new=off")
    assert [(row["family"], row["severity"], row["clips"]) for row in rows] == [("", "0", 4), ("occlusion", "5", 4)]
    assert rows[0]["changed"] == []
    assert rows[0]["gain"] == 0
    assert rows[1]["changed"] == [LEFT[0]]
    assert abs(float(rows[1]["gain"]) - 0.025) < 1e-9  # type: ignore[arg-type]


def test_a_condition_with_one_of_them_has_no_row() -> None:
    assert rows_of(cells({"mine": alike(LEFT, 0.2)}), "mine", "mine:new=off") == []
