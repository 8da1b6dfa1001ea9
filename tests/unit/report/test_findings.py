"""What is said of many clips: of made-up rows whose answer is known."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_findings import CLIPS, FACTS, FILTERS, rows
from maskscope.errors import RecordError
from maskscope.observe import blame
from maskscope.observe.measures import filtering
from maskscope.records import Record, write_records
from maskscope.report.findings_numbers import findings
from maskscope.report.findings_page import findings_html, markdown_parts, write_findings_page
from maskscope.report.findings_shape import FEEDS, Effect, Findings
from maskscope.report.findings_text import parts
from maskscope.report.findings_words import Part
from maskscope.report.page.reasons import UNKNOWN, kind_of
from maskscope.report.page.rows import CLEAN, Condition, Place


@pytest.fixture(scope="module")
def found() -> Findings:
    return findings(rows(), FACTS)


def part(found: Findings, name: str) -> Part:
    return next(each for each in parts(found) if each.name == name)


def test_ratios_are_compared_between_the_positions_that_the_measure_compares() -> None:
    assert FEEDS == filtering.FEEDS


def test_a_stage_filters_or_amplifies_and_the_clip_that_disagrees_is_named(found: Findings) -> None:
    ratios = {(each.stage, each.region): each.ratio for each in found.passages}
    for key, planted in FILTERS.items():
        assert ratios[key].verdict == ("lower" if planted < 1 else "higher"), key  # type: ignore[index]
        assert [clip for clip, _ in ratios[key].against] == [CLIPS[-1]]  # type: ignore[index]
        # Exponents: four of 0.9, three of 1.1, and one turned over by 0.2.
        assert ratios[key].interval.estimate == pytest.approx(planted ** (6.7 / 8))  # type: ignore[index]
    assert found.emphasis["memory_conditioned"].verdict == "higher"  # the background is filtered more
    told = part(found, "filtering")
    assert told.answer.startswith("No, not each: a disturbance grows at prompt attended (object)")
    assert any(CLIPS[-1] in line and "1 of 8 clips" in line for line in told.against)


def test_the_claim_is_confirmed_where_it_holds() -> None:
    """Clips of one mind, all ratios below 1."""
    of_one_mind = [row for row in rows(filters=dict.fromkeys(FILTERS, 0.5)) if row.clip != CLIPS[-1]]
    assert part(findings(of_one_mind, FACTS), "filtering").answer.startswith("Yes: behind every stage")


def test_nothing_is_decided_on_few_clips() -> None:
    told = parts(findings(rows(CLIPS[:2]), FACTS))
    answers = {each.name: each.answer for each in told}
    for name in ("filtering", "emergence", "controls", "separation"):
        assert answers[name].startswith("Cannot be told from 2 clips"), name


def test_an_interval_around_the_neutral_value_decides_nothing() -> None:
    no_effect = findings(rows(filters={("memory_conditioned", "object"): 1.0}), FACTS)
    assert [each.ratio.verdict for each in no_effect.passages] == ["unclear"]
    assert part(no_effect, "filtering").answer.startswith("Not shown for each: no stage can be said to filter")


def test_where_the_object_emerges(found: Findings) -> None:
    told = part(found, "emergence")
    assert "steps up at memory layer 0 cross;" in told.answer
    assert "comes at memory layer 0 mlp, which brings 100" in told.answer
    assert found.early_rise is not None
    assert found.early_rise.interval.estimate == pytest.approx(0.7 * 0.98, abs=0.02)
    assert set(found.clip_onsets.values()) == {"memory_attention.0.cross"}
    unknown = {"above_control": FACTS["onset"]["above_control"] | {"tap": None, "p": 0.4, "state": "not determined"}}
    assert "has no step" in part(findings(rows(), FACTS | {"onset": unknown}), "emergence").answer


def test_positions_are_judged_beside_their_controls(found: Findings) -> None:
    image, memory = found.knowledge
    assert image.above["control"].verdict == "unclear"
    assert memory.above["control"].verdict == "higher"
    told = part(found, "controls")
    assert told.answer == "Only in part: better than all controls at memory conditioned, not surely at image embedding."
    assert "Image embedding is not surely above a region elsewhere." in told.against


def test_read_outs_of_other_clips_stand_beside_their_own_controls(found: Findings) -> None:
    told = part(found, "others")
    assert told.answer == "Only in part: better than chance and all controls at memory conditioned."
    ours = next(each for each in found.across if each.place == Place("memory_conditioned"))
    assert ours.controls["control"].estimate == 0.5
    assert ours.above["rgb"].verdict == "higher"
    (table,) = told.tables
    assert table.header[1:4] == (
        "fitted on the prompted frame",
        "fitted on other clips",
        "a region elsewhere, other clips",
    )
    assert len({len(row) for row in (table.header, *table.rows)}) == 1
    turned = [
        replace(row, value=0.2) if row.clip == CLIPS[0] and row.metric == "separation_auc_others" else row
        for row in rows()
    ]
    assert any(
        f"points away from the object on {CLIPS[0]} (0.20)" in one for one in part(findings(turned), "others").against
    )
    without = [row for row in rows() if not row.metric.endswith("_others")]
    assert "others" not in {each.name for each in parts(findings(without))}


def test_transformations_lower_separation_by_what_was_planted(found: Findings) -> None:
    fog = Condition("fog", 5)
    assert found.falls[fog][Place("image_embedding")].interval.estimate == pytest.approx(-0.1)
    assert found.scores[CLEAN].estimate == pytest.approx(0.9)
    assert found.lost[fog].estimate == pytest.approx(0.1)


def test_blame_is_counted_in_frames(found: Findings) -> None:
    told = found.blamed[Condition("fog", 5)]
    assert (told.losses, told.frames) == (8, 48)
    assert told.stages == {"memory_conditioned": 42, None: 6}
    assert found.blame_shares["memory_conditioned"].estimate == pytest.approx(7 / 8)
    assert part(found, "losses").answer.startswith("Mostly at memory conditioned")


def test_why_no_position_is_named_is_counted_by_kind_and_reason() -> None:
    def reason(row: Record, text: str) -> Record:
        return replace(row, metric="blame_reason", state=text)

    made, lost = [], 0
    for row in rows():
        if row.metric == "blame" and row.state == "not determined":
            made += [row, reason(row, "no patch where separation falls brings the mask back: at most 4 % of it")]
        elif row.metric == "loss" and row.clip == CLIPS[2]:
            made.append(replace(row, state="false alarm", value=9.0))
        elif row.metric == "blame" and row.clip == CLIPS[2]:
            undecided = replace(row, state="not determined")
            made += [undecided, reason(row, "the clean run does not show that moment, so it has nothing to put")]
        else:
            lost += row.metric == "loss"
            made.append(row)
    found = findings(made, FACTS)
    assert lost == 7
    assert found.kinds == {"lost": (42, 36), "false alarm": (9, 0)}
    told = part(found, "losses")
    (table,) = (each for each in told.tables if each.title.startswith("Why no position"))
    assert table.rows == (
        ("the clip as it is does not show that moment", "out of the picture", "1", "9"),
        ("separation falls, but putting it right where it falls brings too little back", "in the picture", "1", "6"),
    )
    assert any("on 42 of these frames; 36 of them (86" in line for line in told.evidence)
    assert any("On the other 9" in line and "none of them are blamed" in line for line in told.evidence)
    assert "Why no position is named" in findings_html(found, FACTS, {})


def test_every_reason_of_the_rule_has_a_kind() -> None:
    for reason in (blame.LOST_BY_BOTH, blame.NOT_SHOWN, blame.ONLY_HIDDEN, blame.TOO_LITTLE):
        assert kind_of(reason) != reason.partition(":")[0]
    assert kind_of("cannot be aligned: goes back in time") == "the two runs cannot be aligned"
    assert kind_of("something new: with 3 figures") == "something new"
    assert kind_of("") == UNKNOWN


def test_the_page_does_not_say_where_the_data_lay() -> None:
    for words in (["--dataset", "../mine/davis"], ["--dataset=../mine/davis"]):
        said = markdown_parts(findings(rows(), FACTS), FACTS | {"command": ["maskscope", "diagnose", *words]}, "images")
        assert "mine" not in said["setting"]
        assert "DIR" in said["setting"]


def test_without_intervention_nobody_is_blamed() -> None:
    bare = findings([row for row in rows() if row.metric != "blame"], FACTS)
    assert part(bare, "losses").answer.startswith("Not looked for")


def test_the_verdict_and_who_is_against_it() -> None:
    from maskscope.evaluate.statistics import Interval

    clips = {str(n): value for n, value in enumerate((2.0, 3.0, 4.0, 5.0, 0.5))}
    effect = Effect(Interval(2.9, 1.5, 4.0), 1.0, clips)
    assert effect.verdict == "higher"
    assert effect.against == [("4", 0.5)]


def test_page_and_figures_follow_from_the_records_alone(tmp_path: Path) -> None:
    records, page = tmp_path / "records.parquet", tmp_path / "findings.md"
    write_records(rows(), records, FACTS)
    marks = ("setting", "answers", "filtering", "emergence", "controls", "others", "separation", "losses")
    page.write_text("# Ours\n" + "\n".join(f"<!-- records: {name} -->\nSTALE\n<!-- end -->" for name in marks))
    write_findings_page(records, page, tmp_path / "images")
    text = page.read_text()
    pictures = {path.name: path.read_text() for path in (tmp_path / "images").iterdir()}
    assert set(pictures) == {"findings-filtering.svg", "findings-emergence.svg", "findings-losses.svg"}
    assert all(f"(images/{name})" in text for name in pictures)
    assert "STALE" not in text
    assert text.startswith("# Ours\n")
    write_findings_page(records, page, tmp_path / "images")
    assert page.read_text() == text
    assert {path.name: path.read_text() for path in (tmp_path / "images").iterdir()} == pictures
    write_records(rows(), records, {"format": "other"})
    with pytest.raises(RecordError, match="no diagnosis of a data set"):
        write_findings_page(records, page, tmp_path / "images")


def test_what_the_records_do_not_hold_is_not_answered() -> None:
    bare = findings([Record(run="r", clip="a", metric="j", value=0.5, object=1)])
    assert parts(bare) == ()
    assert markdown_parts(bare, {}, "images")["filtering"] == "The records do not answer this."
    assert json.dumps(bare.to_json())


def test_one_html_file_with_nothing_from_elsewhere(found: Findings) -> None:
    page = findings_html(found, FACTS, {"clip0": "clips/clip0/report.html"})
    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="https?://', page)
    assert "<script" not in page
    assert 'href="clips/clip0/report.html"' in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert json.loads(json.dumps(found.to_json()))["early_rise"]["verdict"] == "higher"
