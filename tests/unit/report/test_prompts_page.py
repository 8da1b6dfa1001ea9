"""The page of a prompt study, from made-up records."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from made_up_prompts import kinds, noc, trial
from maskscope.errors import RecordError
from maskscope.records import Record, write_records
from maskscope.report.prompts_page import write_prompts_page

FACTS = {"truth": "annotated", "request": {"source": "<dog>", "model": {"name": "tiny"}, "policy": "stock"}}


def everything() -> list[Record]:
    records = kinds(0.55, 0.7, 0.74, 0.72, 0.8)
    for every, score in ((10, 0.86), (30, 0.79)):
        records += trial("density", f"3 clicks, every {every} frames", score, seconds=330 / every, prompts=60 / every)
    for percent in (5, 10, 20):
        records += trial("jitter", "box shifted", 0.72 - percent / 100, percent=percent)
        records += trial("jitter", "click shifted", 0.55 - percent / 100, percent=percent)
    records += trial("wrong", "click on the background", 0.02, logit=-1.0, seconds=2.5, first=0.0)
    for number in (1, 2, 3):
        records += trial("offline", f"{number} frames", 0.7 + 0.05 * number, seconds=11.5 * number)
        records += trial("online", f"{number} frames", 0.7 + 0.06 * number, seconds=6 + 5.5 * number, prompts=number)
    records += noc("centre", 3, 4) + noc("human", 3, 5)
    records += trial("inside", "memory alone", 0.8) + trial("inside", "box alone", 0.7)
    return records


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    write_records(everything(), folder / "records.parquet", FACTS)
    return write_prompts_page(folder / "records.parquet", folder / "prompts.html").read_text()


def test_figures_are_numbered_apart_and_hold_what_was_measured(page: str) -> None:
    numbers = re.findall(r'id="figure-(\d+)"', page)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert len(numbers) == 7
    first = json.loads(re.search(r'data-for="figure-1">(.*?)</script>', page)[1].replace(r"<\/", "</"))  # type: ignore[index]
    assert max(first["data"][0]["x"]) == pytest.approx(0.8)


def test_the_recommendation_stands_first_with_the_rules_that_made_it(page: str) -> None:
    verdict = unescape(re.search(r'<p class="verdict"><strong>(.*?)</strong>', page)[1])  # type: ignore[index]
    assert verdict.startswith("Give a mask (37.8 s): J&F 0.80")
    rules = page[page.index('<section id="rules">') :]
    assert rules.count("<td>taken</td>") == 4 - 1  # of masks no density was tried
    assert "kind/mask: J&amp;F 0.80" in rules


def test_a_study_that_was_stopped_says_which_parts_are_of_fewer_clips(tmp_path: Path, page: str) -> None:
    assert "Unfinished" not in page
    more = trial("kind", "a scribble", 0.8, clips=2)
    write_records([*everything(), *more], tmp_path / "records.parquet", FACTS)
    stopped = write_prompts_page(tmp_path / "records.parquet", tmp_path / "page.html").read_text()
    assert "Unfinished:</strong> parts are of different clips (kind 2, density 1, jitter 1" in stopped


def test_names_cannot_end_the_page(page: str) -> None:
    assert "<dog>" not in page
    assert "Prompts on &lt;dog&gt;" in page


def test_titles_say_what_was_found(page: str) -> None:
    text = unescape(page)
    assert "Mask follows best (J&F 0.80), 1 click worst (J&F 0.55)" in text
    assert "3 clicks every 10 gains +0.160 over saying it once" in text
    assert "Worst is click shifted by 20 %: J&F 0.35" in text
    assert "memory alone (0.80) is worth more than a new box without memory (0.70)" in text
    assert "Clicks to reach 85 and 90 % IoU: centre 3.0 and 4.0, human 3.0 and 5.0" in text


def test_records_of_something_else_are_refused(tmp_path: Path) -> None:
    write_records([Record(run="r", clip="c", metric="j", value=1.0)], tmp_path / "records.parquet")
    with pytest.raises(RecordError, match="no result of a prompt study"):
        write_prompts_page(tmp_path / "records.parquet", tmp_path / "page.html")
