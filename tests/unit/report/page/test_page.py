"""The page of a diagnosis, from made-up records: what it says, what it leaves out, what it refuses."""

from __future__ import annotations

import importlib
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from made_up_diagnosis import LOST, write_diagnosis
from maskscope.cli.main import app
from maskscope.errors import RecordError
from maskscope.records import Record, write_records
from maskscope.report.page.diagnosis import Facts, Picture, open_diagnosis
from maskscope.report.page.intervals import geometric_mean_of, mean_of, retention_of
from maskscope.report.page.names import SHORT_NAMES, count, listed
from maskscope.report.page.page import SECTIONS, build_page
from maskscope.report.page.section import Evidence
from maskscope.report.page.sections import filtering
from maskscope.report.page.sections.ablation import chart
from maskscope.report.page.verdict import findings_of, paragraph
from maskscope.stages import STAGES

pytest.importorskip("plotly", reason="pages need plotly: pip install 'maskscope[report]'")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that a page reads."""
    return write_diagnosis(tmp_path_factory.mktemp("diagnosis"))


@pytest.fixture(scope="module")
def evidence(made: Path) -> Evidence:
    return Evidence(open_diagnosis(made))


def test_the_paragraph_says_what_holds_what_breaks_and_what_to_change(evidence: Evidence) -> None:
    findings = {str(each.condition): each for each in findings_of(evidence)}
    levels = {name: each.level for name, each in findings.items()}
    assert levels == {
        "as filmed": "holds",
        "illumination": "holds",
        "viewpoint": "weakens",
        "speed": "holds",
        "occlusion": "breaks",
    }
    retention = findings["occlusion"].retention
    assert retention is not None
    assert retention.estimate == pytest.approx(1 - len(LOST) / 59, abs=0.03)
    assert findings["occlusion"].blamed == "memory_conditioned"
    *said, change = paragraph(evidence, tuple(findings.values()))
    assert "breaks under occlusion" in " ".join(said)
    assert "the first at frame 33 (1.4\N{NO-BREAK SPACE}s)" in " ".join(said)
    assert change.startswith("Change first: the memory policy")
    assert "All 19 lost frames" in change


def test_every_section_is_there_with_titles_units_and_intervals(evidence: Evidence) -> None:
    for make in SECTIONS:
        section = make(evidence)
        assert not section.missing
        assert section.parts, section.anchor
        for part in section.parts:
            if isinstance(part, str):
                continue
            assert len(part.title.split()) > 4, "a title is a sentence"
            figure = part.figure.to_plotly_json()
            dots = [t for t in figure["data"] if t["type"] == "scatter" and "markers" in t["mode"]]
            assert all(("error_x" in t) or ("error_y" in t) for t in dots)
            if figure["data"][0]["type"] == "scatter":
                axes = [figure["layout"][name] for name in figure["layout"] if name[:5] in ("xaxis", "yaxis")]
                assert any(axis.get("title", {}).get("text") for axis in axes)


def test_the_page_is_self_contained_and_the_same_again(made: Path) -> None:
    page = build_page(open_diagnosis(made))
    assert page == build_page(open_diagnosis(made))
    library = importlib.import_module("plotly.offline").get_plotlyjs()
    assert page.count(library) == 1
    own = page.replace(library, "")
    for reference in ('src="http', 'href="http', "@import", 'src="pictures', "url("):
        assert reference not in own
    assert own.count("data:image/png;base64,") == 28
    assert own.count("data:video/mp4;base64,") == 1


def test_what_is_not_measured_is_left_out_and_said(tmp_path: Path) -> None:
    scores = [Record(run="r", clip="a", metric="j", frame=t, object=1, value=0.9) for t in range(30)]
    write_records(scores, tmp_path / "records.parquet")
    page = build_page(open_diagnosis(tmp_path))
    assert "Limits of this page" in page
    assert "Attention was not measured" in page
    assert "No pictures were kept" in page
    assert "Nothing needs to be changed" in page


def test_what_was_taken_away_is_shown_with_its_interval(tmp_path: Path) -> None:
    def row(**more: Any) -> Record:
        return Record(run="r", clip="a", object=1, **more)

    rows = [row(metric=metric, frame=t, value=0.9) for t in range(40) for metric in ("j", "intact_j")]
    for source, left in (("recent_memory", 0.4), ("pointers", 0.9)):
        place: dict[str, Any] = {"stage": "memory_conditioned", "tap": source}
        rows += [row(metric="ablated_j", frame=t, value=left + 0.02 * (t % 2), **place) for t in range(40)]
        rows.append(row(metric="ablation_loss", value=0.89 - left, **place))
    refused: dict[str, Any] = {"stage": "prompt_attended", "tap": "fine_levels", "state": "nothing of it is read"}
    rows.append(row(metric="ablation_loss", **refused))
    write_records(rows, tmp_path / "records.parquet")
    made = chart(Evidence(open_diagnosis(tmp_path)))
    assert made is not None
    assert "depend most on the recent memory: without, the overlap falls by 0.49" in made.title
    assert [row[0] for row in made.table] == ["recent memory", "object pointers", "fine picture levels"]
    assert made.table[2][1:] == ["", "", "", "nothing of it is read"]


def test_a_blame_of_a_minority_says_so(tmp_path: Path) -> None:
    def row(**more: Any) -> Record:
        return Record(run="r", clip="a", object=1, family="speed", severity=3, **more)

    rows = [Record(run="r", clip="a", object=1, metric="j", frame=t, value=0.9) for t in range(60)]
    rows += [row(metric="j", frame=t, value=0.1) for t in range(60)]
    for frame, frames, stage in ((0, 10, "image_embedding"), (20, 40, "not determined")):
        rows.append(row(metric="loss", frame=frame, state="lost", value=float(frames)))
        rows.append(row(metric="blame", frame=frame, state=stage))
    write_records(rows, tmp_path / "records.parquet")
    evidence = Evidence(open_diagnosis(tmp_path))
    change = paragraph(evidence, findings_of(evidence))[-1]
    assert change.startswith(
        "Change first: camera, light, resolution or frame rate. 10 of 50 lost frames (under speed)"
    )
    assert change.endswith("For the other 40, most of them, no stage can be named.")


def test_false_alarms_are_told_from_losses(tmp_path: Path) -> None:
    def row(**more: Any) -> Record:
        return Record(run="r", clip="a", object=1, family="interjection", severity=3, **more)

    rows = [Record(run="r", clip="a", object=1, metric="j", frame=t, value=0.9) for t in range(60)]
    rows += [row(metric="j", frame=t, value=0.1) for t in range(60)]
    for frame, frames, kind, stage in ((0, 10, "lost", "image_embedding"), (20, 7, "false alarm", "not determined")):
        rows.append(row(metric="loss", frame=frame, state=kind, value=float(frames)))
        rows.append(row(metric="blame", frame=frame, state=stage))
    said = " For the other 7 no stage can be named. Of those without a stage, 7 are false alarms: a mask is shown while"
    for known in (True, False):
        kept = [each for each in rows if known or not (each.frame == 0 and each.metric in ("loss", "blame"))]
        write_records(kept, tmp_path / "records.parquet")
        evidence = Evidence(open_diagnosis(tmp_path))
        change = paragraph(evidence, findings_of(evidence))[-1]
        assert (said if known else " Of those without a stage, 7 are false alarms") in change


def test_where_the_clip_fails_as_filmed_nothing_holds_and_little_evidence_changes_nothing(tmp_path: Path) -> None:
    def row(family: str = "", **more: Any) -> Record:
        return Record(run="r", clip="a", object=1, family=family, severity=3 if family else 0, **more)

    rows = []
    for family, good, stage in (("", 30, "not determined"), ("speed", 30, "not determined"), ("fog", 8, None)):
        rows += [row(family, metric="j", frame=t, value=0.9 if t < good else 0.05) for t in range(60)]
        rows.append(row(family, metric="loss", frame=good, state="lost", value=float(60 - good)))
        rows.append(row(family, metric="blame", frame=good, state=stage or "not determined"))
    rows += [row("fog", metric="loss", frame=2, state="lost", value=2.0)]
    rows += [row("fog", metric="blame", frame=2, state="memory_features")]
    write_records(rows, tmp_path / "records.parquet", Facts(truth="annotated").to_json())
    evidence = Evidence(open_diagnosis(tmp_path))
    findings = findings_of(evidence)
    *said, change = paragraph(evidence, findings)
    assert "holds" not in " ".join(said)
    assert "It is no worse than as filmed under speed. It gets much worse under fog" in " ".join(said)
    assert change.startswith("A stage is named for 2 of 114 lost frames only")
    assert "As filmed 30 frames are lost already" in change
    page = build_page(open_diagnosis(tmp_path))
    assert "It fails as filmed; 1 of 2 conditions make it no worse" in page
    assert '<em class="unknown">no worse</em>' in page


def test_an_axis_of_ratios_has_more_than_one_to_read_it_by(evidence: Evidence) -> None:
    figures = [part.figure.to_plotly_json() for part in filtering.section(evidence).parts if not isinstance(part, str)]
    (ratios,) = (each for each in figures if each["layout"]["yaxis"].get("type") == "log")
    drawn = [value for trace in ratios["data"] for value in trace["y"]]
    assert sum(min(drawn) <= tick <= 1 for tick in ratios["layout"]["yaxis"]["tickvals"]) >= 3


def test_names_from_records_cannot_write_the_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    rows = [Record(run="r", clip=evil, metric="j", frame=t, object=1, value=0.9) for t in range(3)]
    write_records(rows, tmp_path / "records.parquet")
    assert evil not in build_page(open_diagnosis(tmp_path))


def test_nothing_determined_blames_nothing(tmp_path: Path) -> None:
    def row(**more: Any) -> Record:
        return Record(run="r", clip="a", object=1, **more)

    rows = [row(metric="j", frame=t, value=0.9) for t in range(20)]
    rows += [row(metric="j", frame=t, value=0.1, family="speed", severity=3) for t in range(20)]
    rows += [
        row(metric=metric, frame=4, state=state, value=value, family="speed", severity=3)
        for metric, state, value in (("loss", "lost", 16.0), ("blame", "not determined", None))
    ]
    write_records(rows, tmp_path / "records.parquet")
    evidence = Evidence(open_diagnosis(tmp_path))
    findings = findings_of(evidence)
    assert (findings[1].level, findings[1].blamed) == ("breaks", None)
    assert "not determined" in paragraph(evidence, findings)[-1]


def test_without_interventions_nobody_is_blamed_and_it_says_why(tmp_path: Path) -> None:
    rows = [Record(run="r", clip="a", object=1, metric="j", frame=t, value=0.9) for t in range(20)]
    more: dict[str, Any] = {"family": "speed", "severity": 3}
    rows += [Record(run="r", clip="a", object=1, metric="j", frame=t, value=0.1, **more) for t in range(20)]
    rows.append(Record(run="r", clip="a", object=1, metric="loss", frame=4, state="lost", value=16.0, **more))
    write_records(rows, tmp_path / "records.parquet")
    evidence = Evidence(open_diagnosis(tmp_path))
    assert "that takes interventions, which were left out" in paragraph(evidence, findings_of(evidence))[-1]


def test_one_frame_cannot_blow_up_a_ratio() -> None:
    ratios = [0.5] * 39 + [1e9]
    rows = [Record(run="r", clip="a", metric="filtering_ratio.object", frame=t, value=v) for t, v in enumerate(ratios)]
    found = geometric_mean_of(rows)
    assert found is not None
    assert found.estimate == pytest.approx((0.5**39 * 1000) ** (1 / 40))
    assert geometric_mean_of([]) is None


def test_intervals() -> None:
    def rows(clip: str, values: list[float], family: str = "") -> list[Record]:
        return [
            Record(run="r", clip=clip, metric="j", frame=t, object=1, value=v, family=family)
            for t, v in enumerate(values)
        ]

    assert mean_of([]) is None
    steady = mean_of(rows("a", [0.5] * 40))
    assert steady is not None
    assert (steady.estimate, steady.low, steady.high) == (0.5, 0.5, 0.5)
    half = mean_of(rows("a", [0.0] * 20 + [1.0] * 20))
    assert half is not None
    assert half.estimate == 0.5
    assert half.low < 0.3 < 0.7 < half.high
    kept = retention_of(rows("a", [0.4] * 20, "speed"), rows("a", [0.8] * 30))
    assert kept is not None
    assert kept.estimate == pytest.approx(0.5)
    assert retention_of(rows("b", [0.4] * 20), rows("a", [0.8] * 30)) is None, "no object in common"


def test_words() -> None:
    assert set(SHORT_NAMES) == set(STAGES)
    assert [listed(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [count(n, noun) for n, noun in ((1, "loss"), (2, "loss"), (3, "clip"))] == ["1 loss", "2 losses", "3 clips"]


def test_facts_come_back_as_they_were() -> None:
    picture = Picture(file="pictures/a.png", kind="panel", clip="a", panel="mask", frame=3)
    facts = Facts(pictures=(picture,), command=("maskscope", "diagnose"), fps=25.0)
    assert Facts.from_json(facts.to_json()) == facts
    with pytest.raises(RecordError, match="not inside"):
        Picture(file="../a.png", kind="panel", clip="a", panel="mask", frame=3)


def test_the_command_writes_the_page(made: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(made), "--out", str(tmp_path / "page.html")])
    assert result.exit_code == 0, result.output
    assert "page.html" in result.output
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def _other_version(folder: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"run": ["r"]}).replace_schema_metadata({"maskscope.records": "1"})
    parquet.write_table(table, folder / "records.parquet")


def _unfinished(folder: Path) -> None:
    rows = [Record(run="r", clip="a", metric="j", frame=0, value=1.0)]
    write_records(rows, folder / "records.parquet", Facts(status="stopped").to_json())


def _no_diagnosis(folder: Path) -> None:
    write_records([Record(run="r", clip="a", metric="frames_per_second", value=3.0)], folder / "records.parquet")


def _other_format(folder: Path) -> None:
    rows = [Record(run="r", clip="a", metric="j", frame=0, value=1.0)]
    write_records(rows, folder / "records.parquet", {**Facts().to_json(), "format": "maskscope.diagnosis/0"})


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda folder: None, "holds no records.parquet"),
        (lambda folder: (folder / "jobs").mkdir(), "was interrupted"),
        (lambda folder: (folder / "parts").mkdir(), "was interrupted"),
        (_unfinished, "not finished"),
        (_no_diagnosis, "holds no diagnosis, but frames_per_second"),
        (_other_format, "has the format maskscope.diagnosis/0"),
        (_other_version, "version 1 of the records"),
        (lambda folder: write_records([], folder / "records.parquet"), "holds no row"),
        (lambda folder: (folder / "records.parquet").write_bytes(b"rubbish"), "no whole table"),
    ],
)
def test_bad_input_is_one_line(prepare: Any, says: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert says in result.output
    assert result.output.strip().count("\n") == 0
    assert not (tmp_path / "report.html").exists()


def _executable() -> str | None:
    """A browser that was named or is on the path; playwright may have its own."""
    names = (os.environ.get("CHROME", ""), "chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser (pip install playwright)")
    flags = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage"]
    with api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=_executable(), args=flags)
        except api.Error as error:
            pytest.skip(f"no browser to look at the page with (set CHROME): {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_it_looks_right_in_a_browser(made: Path, browser: Any, tmp_path: Path, width: int) -> None:
    page_file = tmp_path / "page.html"
    page_file.write_text(build_page(open_diagnosis(made)), encoding="utf-8")
    errors: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 844}, offline=True)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-figures]", state="attached", timeout=60_000)
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing to scroll sideways"
    drawn = page.evaluate("[...document.querySelectorAll('.plot')].map(p => p.querySelector('.main-svg')?.clientWidth)")
    assert len(drawn) == 11
    assert all(0 < each <= width for each in drawn)
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    shot = page.screenshot(clip={"x": 0, "y": 0, "width": width, "height": 800})
    assert struct.unpack(">II", shot[16:24]) == (width, 800)
    assert len(shot) > 10_000, "not blank"
    page.close()
