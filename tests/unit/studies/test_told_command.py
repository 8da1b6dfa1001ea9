"""Commands in records, wherever they ran."""

from __future__ import annotations

import pytest

from maskscope.studies.told_command import told_command, told_word


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("/home/someone/davis", "davis"),
        ("../elsewhere/davis", "davis"),
        ("~/davis", "davis"),
        ("--dataset=/home/someone/davis", "--dataset=davis"),
        ("runs/findings", "runs/findings"),
        ("--severity", "--severity"),
        ("1,3,5", "1,3,5"),
    ],
)
def test_records_do_not_say_where_on_a_machine_things_lay(word: str, kept: str) -> None:
    assert told_word(word) == kept


def test_a_whole_command() -> None:
    words = ["maskscope", "stress", "../data/davis", "--material", "~/davis", "--out=../out", "--jobs", "2"]
    assert told_command(words) == ["maskscope", "stress", "davis", "--material", "davis", "--out=out", "--jobs", "2"]
