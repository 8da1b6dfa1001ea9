"""The page of a readiness run, from a made-up result: both languages, all numbers traced, on screen and on paper."""

from __future__ import annotations

import json
import os
import re
import shutil
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from made_up_readiness import made_up_readiness, too_short
from maskscope.errors import SettingError
from maskscope.readiness.figure import UNITS, Figure
from maskscope.readiness.parts import AXES, MEASURES, Advice
from maskscope.readiness.result import LANGUAGES
from maskscope.readiness.rules import NOT_YET, RULES, START_SHORT
from maskscope.report.readiness import build_readiness_page, write_readiness_page
from maskscope.report.readiness.decision import Decision
from maskscope.report.readiness.saying import FIGURE_KEYS, Saying, plain_number
from maskscope.report.readiness.wording import wording
from maskscope.studies.readiness.ranges import held_to

pytest.importorskip("plotly", reason="pages need plotly: pip install 'maskscope[report]'")

PLOTS = 7 + 2 + 2 + 1


def own_part(page: str) -> str:
    """Without the library of figures."""
    return re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.S)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_languages_have_the_same_keys_and_placeholders() -> None:
    english, japanese = (wording(each).texts for each in LANGUAGES)
    assert list(english) == list(japanese)
    for key, text in english.items():
        assert placeholders(text) == placeholders(japanese[key]), key
        assert text.strip(), key
        assert japanese[key].strip(), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_a_result_may_say_has_words(language: str) -> None:
    say = wording(language)
    for kind, names in {"unit": UNITS, "axis": AXES, "axis_title": AXES, "measure": MEASURES}.items():
        assert [name for name in names if f"{kind}.{name}" not in say] == []
    assert [rule.id for rule in (*RULES, START_SHORT, *NOT_YET) if f"advice.{rule.id}" not in say] == []
    assert [key for key in FIGURE_KEYS.values() if f"figure.{key}" not in say] == []


def test_no_text_of_the_page_lies_outside_the_catalogue() -> None:
    """The Japanese page holds English words only where they are names: of metrics, policies, models and commands."""
    result = replace(made_up_readiness(), notes=())
    page = build_readiness_page(result, "ja")
    figures = "".join(re.findall(r'<script type="application/json".*?</script>', page, flags=re.S))
    in_figures = [re.sub(r"%{.*?}", "", text) for text in re.findall(r'"(?:text|name)":"(.*?)"', figures)]
    page = re.sub(r"<style>.*?</style>|<code>.*?</code>", "", own_part(page), flags=re.S)
    shown = " ".join([re.sub(r"<[^>]+>", " ", page), *in_figures])
    words = set(re.findall(r"[A-Za-z]{4,}", shown))
    names = {word for figure in result.figures().values() for word in re.findall(r"[A-Za-z]{4,}", figure.metric)}
    names |= {word for figure in result.figures().values() for word in re.findall(r"[A-Za-z]{4,}", figure.state)}
    known = {"conveyor", "compact", "stock", "composite", "maskscope", "readiness", "point", "JPEG", "JavaScript"}
    assert words - names - known - {"records", "parquet", "watch", "reference"} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_is_on_the_page_with_its_metric(language: str) -> None:
    result = made_up_readiness()
    page, words = build_readiness_page(result, language), Saying(wording(language))
    ledger = page[page.index('<section id="ledger">') :]
    rows = re.findall(r'<tr id="(.*?)"><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>', ledger)
    assert len(rows) == len(result.figures())
    assert set(re.findall(r'class="number" href="#(.*?)"', page)) <= {row[0] for row in rows}
    for (_, label, value, _, metric), (name, figure) in zip(rows, result.figures().items(), strict=True):
        assert label != name, "every figure has a name in words"
        assert value == words.value(figure)
        assert metric == figure.metric


def test_the_decision_says_what_the_result_says() -> None:
    decision = Decision(made_up_readiness(), Saying(wording("en")))
    sentences = [decision.sentence(sweep) for sweep in decision.result.sweeps]
    assert sentences[0] == (
        "Keep at least 155 px of picture width: below 124 px, less than 80 % of the accuracy is left, and at 107 px "
        "only 74 %."
    )
    assert sentences[1] == (
        "The present frame rate leaves too little room: below 20.8 frames/s, less than 80 % of the accuracy is left, "
        "and at 20 frames/s only 77 %. Go to 26 frames/s or more. At 20 frames/s the object moves 0.15 of its "
        "size a frame."
    )
    assert sentences[2].startswith("The light may fall by 3.1 stops: beyond 4.1 stops, less than 80 %")
    assert sentences[3].endswith("no harm up to 4 stops above today's, the brightest tried. Plan with 3 stops at most.")
    plan = decision.plan()
    assert (
        "Opens when Frame rate: to spare is at least 1.5\N{MULTIPLICATION SIGN} (now 1.2\N{MULTIPLICATION SIGN})."
        in plan
    )
    assert plan.index("advice-start_short") < plan.index("advice-lookalikes") < plan.index("advice-long_watch")
    assert "7.2 s (180 frames)" in plan


def test_what_could_not_be_tried_is_said() -> None:
    result = too_short()
    page = build_readiness_page(result, "en")
    assert "The frame rate was not tried" in page
    state = result.figures()["frame_rate.limit"].state
    assert state
    assert state in page
    assert "Accuracy kept as frames are left out" not in page, "no curve of one point"


def test_a_result_without_anything_to_start_says_so() -> None:
    result = made_up_readiness()
    waiting = Advice(rule="new_rule", key="new_rule", stage="wait", cites=("stock.horizon",), values={})
    page = build_readiness_page(replace(result, plan=(waiting,), verdict="wait"), "en")
    assert "Nothing can start yet" in page
    assert "A rule without wording of its own applies: new_rule." in page


def test_limits_of_a_clip_that_is_not_followed_are_said_to_be_relative() -> None:
    result, words = made_up_readiness("given"), Saying(wording("en"))
    assert "Limits are relative" not in Decision(result, words).needs()
    weak = Advice(rule="not_accurate", key="not_accurate", stage="wait", cites=("baseline.j",), values={})
    assert "Limits are relative" in Decision(replace(result, plan=(*result.plan, weak)), words).needs()


def test_a_clip_in_its_own_range_gets_no_verdict_and_one_outside_of_an_earlier_range_does() -> None:
    result = made_up_readiness()
    page = build_readiness_page(result, "en")
    assert "so it lies inside by construction" in page
    assert '<em class="inside">' not in page
    held = held_to(result.picture, replace(result, clip=replace(result.clip, name="good day")))
    worse = tuple(replace(e, inside=False) if e.figure.name == "blur.object" else e for e in held)
    page = build_readiness_page(replace(result, picture=worse), "en")
    assert "from an earlier run, on the clip good day" in page
    assert page.count('<em class="outside">') == 1


def test_the_range_is_shaded_in_every_panel() -> None:
    page = build_readiness_page(made_up_readiness(), "en")
    shapes = [
        len(json.loads(each)["layout"].get("shapes", ())) for each in re.findall(r'data-for=".*?">(.*?)</script>', page)
    ]
    timed = [each for each in made_up_readiness().picture if each.axis and len(each.frames) > 1]
    assert max(shapes) == len(timed) > 0


def test_names_cannot_write_the_page() -> None:
    result = made_up_readiness()
    evil = "</script><script>alert(1)</script>"
    page = build_readiness_page(replace(result, clip=replace(result.clip, name=evil), notes=(evil,)), "ja")
    assert evil not in page


def test_the_page_is_self_contained_and_the_same_again(tmp_path: Path) -> None:
    path = write_readiness_page(made_up_readiness(), tmp_path / "readiness.html", "ja")
    page = path.read_text(encoding="utf-8")
    assert page == build_readiness_page(made_up_readiness(), "ja")
    own = own_part(page)
    assert '<html lang="ja">' in own
    assert "Noto Sans CJK JP" in own
    assert all(reference not in own for reference in ('src="http', 'href="http', "@import", "url("))


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(SettingError, match=r"'fr'; choose en or ja"):
        build_readiness_page(made_up_readiness(), "fr")


def test_sentences_of_results_are_told_in_the_language() -> None:
    note = "The clip is 4.0 s long; from 10 s on limits can be told with narrower intervals."
    assert wording("en").told(note) == note
    assert wording("ja").told(note).startswith("映像の長さは4.0秒です。10秒以上")
    half = (
        "Half of the measurements were made: all would take about 9 minutes on this machine. --full makes them, with "
        "narrower intervals."
    )
    assert wording("en").told(half) == half
    assert "約9分" in wording("ja").told(half)
    assert wording("ja").told("something new") == "something new"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1236, "0.124"), (5200.4, "5200"), (12.46, "12.5"), (3e-05, "0.00003"), (0.0, "0"), (-4, "-4")],
)
def test_numbers(value: float, text: str) -> None:
    assert plain_number(value) == text


def test_bounds_and_shares() -> None:
    words = Saying(wording("en"))
    assert words.value(Figure(name="a", value=0.5, unit="share", bound="at least")) == "at least 50 %"
    assert words.value(Figure(name="a", value=1.0, unit="frames")) == "1 frame"
    assert words.value(Figure(name="a", value=None, unit="frames", state="not seen")) == "not seen"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (53.1, "px", "54 px"), (53.0, "px", "53 px"), (20.2, "quality", "21"), (5.99, "stops", "5.9 stops"),
        (0.899, "share", "89 %"), (0.29, "share", "29 %"), (12.41, "frames/s", "12.5 frames/s"),
    ],
)  # fmt: skip
def test_limits_are_rounded_to_the_safe_side(value: float, unit: str, text: str) -> None:
    assert Saying(wording("en")).rough(value, unit) == text


def test_light_that_is_asked_for_is_rounded_up_and_every_number_of_a_sentence_leads_to_its_row() -> None:
    assert Saying(wording("en")).rough(0.61, "stops", more=True) == "0.7 stops"
    result = made_up_readiness()
    needs = Decision(result, Saying(wording("ja"))).needs()
    first = needs[: needs.index("</li>")]
    led = re.findall(r'href="#number-(.*?)">(.*?)<', first)
    assert led == [("resolution.advised", "155 px"), ("resolution.limit", "124 px"), ("resolution.3.retention", "74%")]
    assert {name for name, _ in led} <= set(result.figures())


def executable() -> str | None:
    """A browser that was named or is on the path; playwright may have its own."""
    names = (os.environ.get("CHROME", ""), "chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser (pip install playwright)")
    flags = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage"]
    with api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=executable(), args=flags)
        except api.Error as error:
            pytest.skip(f"no browser to look at the page with (set CHROME): {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ja", 390)])
def test_it_looks_right_in_a_browser(browser: Any, tmp_path: Path, language: str, width: int) -> None:
    path = write_readiness_page(made_up_readiness(), tmp_path / "page.html", language)
    errors: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 844}, offline=True)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-figures]", state="attached", timeout=120_000)
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing to scroll sideways"
    drawn = page.evaluate("[...document.querySelectorAll('.plot')].map(p => p.querySelector('.main-svg')?.clientWidth)")
    assert len(drawn) == PLOTS
    assert all(0 < each <= width for each in drawn)
    title = "[class^=x][class$=title]"
    titled = page.evaluate(f"[...document.querySelectorAll('.plot')].filter(p => p.querySelector('{title}')).length")
    assert titled == PLOTS, "every figure names its axis"
    if language == "en":
        paper = page.pdf(prefer_css_page_size=True, print_background=True)
        pages = len(re.findall(rb"/Type\s*/Page\b", paper))
        assert paper.startswith(b"%PDF")
        assert 4 <= pages <= 24
    page.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_decision_has_two_sheets_of_paper(browser: Any, tmp_path: Path, language: str) -> None:
    result = made_up_readiness()
    several = (*result.plan[:-1], *(replace(each, rule=f"more {each.rule}") for each in result.plan[1:]))
    (tmp_path / "page.html").write_text(own_part(build_readiness_page(replace(result, plan=several), language)))
    page = browser.new_page(offline=True)
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("document.querySelectorAll('main > :not(header):not(.decision)').forEach(each => each.remove())")
    paper = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 2
    page.emulate_media(media="print")
    least = page.evaluate(
        "Math.min(...[...document.querySelectorAll('main *')].filter(each => each.innerText)"
        ".map(each => parseFloat(getComputedStyle(each).fontSize)))"
    )
    assert least * 72 / 96 >= 7, "points"
    page.close()
