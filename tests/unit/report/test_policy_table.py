"""Recommendations, the page and the advice, from cells whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from made_up_policies import LEFT, QUICK, RIGHT, alike, cells
from maskscope.errors import RecordError
from maskscope.records import Record, write_records
from maskscope.report import policy_advice as advice_module
from maskscope.report.policy_advice import advice_of, policy_advice, strongest_advice, write_advice
from maskscope.report.policy_page import write_policy_page
from maskscope.report.policy_rows import Cell
from maskscope.report.policy_table import PLAIN, Rule, choices
from maskscope.report.policy_time import HALLUCINATED, SEEN


class TestChoice:
    def test_the_largest_sure_gain_is_recommended(self) -> None:
        tried = cells({"gated": alike(LEFT, 0.05), "paths": alike(LEFT, 0.1), "wild": alike(LEFT, 0.2, 0.6)})
        (choice,) = choices(tried, bootstrap=QUICK)
        assert (choice.policy, choice.family, choice.band) == ("paths", "occlusion", "4-5")
        assert choice.row.gain is not None
        assert choice.row.gain.gain == pytest.approx(0.1), "wild gains more, but not surely"

    def test_stock_stays_where_nothing_is_sure_or_clips_are_few(self) -> None:
        assert choices(cells({"gated": alike(LEFT, -0.1)}), bootstrap=QUICK)[0].policy == "stock"
        assert choices(cells({"gated": alike(LEFT, 0.0)}), bootstrap=QUICK)[0].policy == "stock"
        assert choices(cells({"gated": alike(LEFT[:2], 0.3)}), bootstrap=QUICK)[0].policy == "stock"
        assert choices([Cell("m", "gated", "", 0, "a", 1, {"j_and_f": 1.0})], bootstrap=QUICK) == []

    def test_a_gain_that_nobody_sees_is_no_reason(self) -> None:
        tried = cells({"gated": alike(LEFT, 0.009)})
        assert choices(tried, bootstrap=QUICK)[0].policy == "stock"
        assert choices(tried, bootstrap=QUICK, rule=PLAIN)[0].policy == "gated"

    def test_the_error_is_shared_among_all_that_were_tried(self) -> None:
        """A gain whose own interval is just above 0, alone and as one of many."""
        doubtful = {"wild": dict(zip(LEFT + RIGHT, (0.2, 0.2, 0.2, 0.2, 0.2, 0.2, -0.09, -0.1), strict=True))}
        alone = choices(cells(doubtful), bootstrap=QUICK)[0]
        assert alone.policy == "wild"
        many = cells(doubtful | {f"other{n}": alike(LEFT + RIGHT, -0.1) for n in range(20)})
        assert choices(many, bootstrap=QUICK)[0].policy == "stock"
        assert choices(many, bootstrap=QUICK, rule=PLAIN)[0].policy == "wild"

    def test_of_several_the_surest(self) -> None:
        lucky = dict(zip(LEFT + RIGHT, (0.9, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02), strict=True))
        tried = cells({"lucky": lucky, "steady": alike(LEFT + RIGHT, 0.1)})
        assert choices(tried, bootstrap=QUICK)[0].policy == "steady"
        assert choices(tried, bootstrap=QUICK, rule=PLAIN)[0].policy == "lucky"

    def test_always_the_same_is_where_it_was_tried(self) -> None:
        tried = cells({"gated": alike(LEFT, -0.1)}) + cells({"paths": alike(LEFT, 0.1)}, "speed")
        assert [each.policy for each in choices(tried, bootstrap=QUICK, rule=Rule(always="gated"))] == ["gated"]

    def test_bands(self) -> None:
        tried = [each for severity in (1, 2, 3, 4, 5) for each in cells({"gated": alike(LEFT, 0.1)}, "speed", severity)]
        found = choices([*tried, *cells({"gated": alike(LEFT, 0.0)}, "", 0)], bootstrap=QUICK)
        assert [(each.family, each.band, each.rows[1].gain.objects) for each in found] == [  # type: ignore[union-attr]
            ("", "0", 4), ("speed", "1-2", 8), ("speed", "3", 4), ("speed", "4-5", 8),
        ]  # fmt: skip


class TestAdvice:
    def test_of_a_family_the_severity_with_the_largest_gain(self, tmp_path: Path) -> None:
        tried = [*cells({"gated": alike(LEFT, 0.05)}, "speed", 1), *cells({"gated": alike(LEFT, 0.12)}, "speed", 5)]
        tried += cells({"gated": alike(LEFT, -0.1)}, "", 0) + cells({"paths": alike(LEFT, 0.2)}, "interjection/cut")
        advice = advice_of(choices(tried, bootstrap=QUICK))
        path = write_advice(advice, tmp_path / "advice.json")
        speed = policy_advice("speed", path)
        assert speed is not None
        assert (speed.policy, speed.severity, speed.gain, speed.clips) == ("gated", "4-5", 0.12, 4)
        assert speed.command == "maskscope track VIDEO --model m --policy gated"
        assert policy_advice("speed/skip", path) == speed == policy_advice("speed", path, severity=4)
        mild = policy_advice("speed/skip", path, severity=2)
        assert mild is not None
        assert (mild.severity, mild.gain) == ("1-2", 0.05)
        assert policy_advice("speed", path, severity=3) == speed, "nothing was measured there"
        clean = policy_advice("clean", path)
        assert clean is not None
        assert (clean.policy, clean.gain, clean.changes_something) == ("stock", 0.0, False)
        cut = policy_advice("interjection", path)
        assert cut == policy_advice("interjection/cut", path)
        assert cut is not None
        assert cut.policy == "paths"
        assert policy_advice("interjection", path, severity=5) == cut
        assert strongest_advice(path) == ("interjection/cut", cut)
        assert policy_advice("viewpoint", path) is None

    def test_without_a_file_there_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert policy_advice("speed", tmp_path / "advice.json") is None
        monkeypatch.setattr(advice_module, "folder", lambda: tmp_path)
        assert policy_advice("speed") is None

    @pytest.mark.parametrize("text", ["{", "[]", '{"format": "another"}', '{"format": "maskscope.policy-advice/1"}'])
    def test_a_damaged_one_is_refused(self, text: str, tmp_path: Path) -> None:
        (tmp_path / f"{hash(text)}.json").write_text(text)
        with pytest.raises(RecordError, match="make it again"):
            policy_advice("speed", tmp_path / f"{hash(text)}.json")


def rows_of(tried: list[Cell]) -> list[Record]:
    return [
        Record(
            run="r", clip=cell.clip, model=cell.tracker, policy=cell.policy, family=cell.family,
            severity=cell.severity, object=cell.object, metric=name, value=value,
        )
        for cell in tried
        for name, value in cell.values.items()
    ]  # fmt: skip


class TestPage:
    def test_it_holds_what_records_say(self, tmp_path: Path) -> None:
        tried = cells({"gated": alike(LEFT + RIGHT, 0.1)}) + cells({"gated": alike(LEFT + RIGHT, -0.02)}, "", 0)
        tried += cells({"gated": alike(["drawn-01", "drawn-02"], 0.3)}, "", 0)
        tried += [Cell("m", "stock", "occlusion", 5, LEFT[0], None, {"fps": 10.0, "memory_mb": 300.0})]
        tried += [Cell("m", "gated", "occlusion", 5, LEFT[0], None, {"fps": 9.0, "memory_mb": 310.0})]
        rows = rows_of(tried)
        for policy, score in (("stock", 0.5), ("gated", 0.75)):
            for metric, value in ((SEEN, score), (HALLUCINATED, 0.25)):
                rows.append(
                    Record(run="d", clip="dog", model="m", policy=policy, family="long", severity=4, object=1,
                           frame=300, metric=metric, value=value)
                )  # fmt: skip
        command = "maskscope stress ../somewhere/davis --out short --material ../somewhere/davis"
        facts = {"command": command.split(), "request": {"model": {"name": "m", "sha256": "ab" * 32}}}
        write_records(rows, tmp_path / "short.parquet", facts)
        page = tmp_path / "docs" / "which.md"
        advice = write_policy_page([tmp_path / "short.parquet"], page, QUICK)
        assert advice["occlusion"].policy == "gated"
        text = page.read_text()
        assert "\nmaskscope stress DIR --out short --material DIR\n" in text
        assert "somewhere" not in text
        assert "| clean clips | - | 8 | stock | - | - |" in text
        assert "| drawn clips | - | 2 | stock | - | - |" in text, "things pass in them: not clean"
        assert "| occlusion | 4-5 | 8 | gated | +10.0 [+10.0, +10.0] | 0.90x |" in text
        assert "| gated | 50.0 | +10.0 [+10.0, +10.0] |" in text
        assert "| 9.0 (0.90x) |\n" in text
        assert "| 300 | 1 | 50.0 (25 %) | 75.0 +25.0 (25 %) |" in text
        assert "| this page's | half of the clips | 4 | 4 | 4 | 2 | 0 | +10.0 [+10.0, +10.0] | +5.0 of +5.0 |" in text
        assert "In 4 of 4 conditions the recommended policy was the best" in text
        write_policy_page([tmp_path / "short.parquet"], page, QUICK)
        assert page.read_text() == text

    def test_without_a_comparison_there_is_no_page(self, tmp_path: Path) -> None:
        write_records(rows_of(cells({"stock": {}})[:1] or [Cell("m", "stock", "", 0, "a", 1, {"j_and_f": 1.0})]),
                      tmp_path / "one.parquet")  # fmt: skip
        with pytest.raises(RecordError, match="no policy is compared with stock"):
            write_policy_page([tmp_path / "one.parquet"], tmp_path / "page.md", QUICK)

    def test_the_advice_of_the_package_is_whole_if_it_is_there(self) -> None:
        path = advice_module.folder() / advice_module.FILE
        if path.exists():
            for name in json.loads(path.read_text())["advice"]:
                found = policy_advice(name)
                assert found is not None
                assert found.low <= found.gain <= found.high
                assert found.policy in found.command
