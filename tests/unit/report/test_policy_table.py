"""Recommendations, their check on other clips, the page and the advice, from cells whose answer is known."""

from __future__ import annotations

import json
from itertools import count, islice
from pathlib import Path

import pytest

from maskscope.errors import RecordError
from maskscope.evaluate.statistics import Bootstrap
from maskscope.records import Record, write_records
from maskscope.report import policy_advice as advice_module
from maskscope.report.policy_advice import advice_of, policy_advice, write_advice
from maskscope.report.policy_page import held_text, write_policy_page
from maskscope.report.policy_rows import Cell
from maskscope.report.policy_table import choices, half_of, held_out
from maskscope.report.policy_time import HALLUCINATED, SEEN

QUICK = Bootstrap(resamples=300)


def named(half: int, how_many: int) -> list[str]:
    """Clips of one half."""
    names = (f"clip{number}" for number in count())
    return list(islice((name for name in names if half_of(name) == half), how_many))


LEFT, RIGHT = named(0, 4), named(1, 4)


def cells(gains: dict[str, dict[str, float]], family: str = "occlusion", severity: int = 5) -> list[Cell]:
    """Of the stock policy, which scores 0.4 everywhere, and others by what they gain on each clip."""
    clips = {clip for of_clip in gains.values() for clip in of_clip}
    found = [Cell("m", "stock", family, severity, clip, 1, {"j_and_f": 0.4}) for clip in sorted(clips)]
    for policy, of_clip in gains.items():
        found += [Cell("m", policy, family, severity, clip, 1, {"j_and_f": 0.4 + g}) for clip, g in of_clip.items()]
    return found


def alike(clips: list[str], gain: float, spread: float = 0.0) -> dict[str, float]:
    return {clip: gain + spread * (-1) ** place for place, clip in enumerate(clips)}


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

    def test_bands(self) -> None:
        tried = [each for severity in (1, 2, 3, 4, 5) for each in cells({"gated": alike(LEFT, 0.1)}, "speed", severity)]
        found = choices([*tried, *cells({"gated": alike(LEFT, 0.0)}, "", 0)], bootstrap=QUICK)
        assert [(each.family, each.band, each.rows[1].gain.objects) for each in found] == [  # type: ignore[union-attr]
            ("", "0", 4), ("speed", "1-2", 8), ("speed", "3", 4), ("speed", "4-5", 8),
        ]  # fmt: skip


class TestHeldOut:
    def test_halves_follow_from_names(self) -> None:
        assert [half_of(clip) for clip in ("dog", "cows")] == [half_of("dog"), half_of("cows")]
        assert {half_of(f"clip{n}") for n in range(20)} == {0, 1}

    def test_what_holds_everywhere_holds(self) -> None:
        found = held_out(cells({"gated": alike(LEFT + RIGHT, 0.1), "paths": alike(LEFT + RIGHT, 0.02)}), QUICK)
        assert (found.best, len(found.held), found.stock_best, found.hurt) == (2, 2, 0, 0)
        assert found.halves == (tuple(sorted(LEFT)), tuple(sorted(RIGHT)))
        assert found.gain is not None
        assert (found.gain.estimate, found.gain.low, found.gain.high) == pytest.approx((0.1, 0.1, 0.1))
        assert [each.policy for each in found.changed] == ["gated", "gated"]

    def test_what_was_chance_shows(self) -> None:
        """Gated helps the left half by 0.1 and costs the right one 0.2, where paths helps a little."""
        tried = {"gated": alike(LEFT, 0.1) | alike(RIGHT, -0.2), "paths": alike(LEFT, 0.0) | alike(RIGHT, 0.03)}
        found = held_out(cells(tried), QUICK)
        by_left, by_right = found.held
        assert (by_left.policy, by_left.best, by_left.is_best) == ("gated", "paths", False)
        assert (by_left.gain, by_left.possible) == pytest.approx((-0.2, 0.03))
        assert set(by_left.of_clip) == set(RIGHT)
        assert (by_right.policy, by_right.best, by_right.gain) == ("paths", "gated", pytest.approx(0.0))
        assert (found.best, found.stock_best, found.hurt) == (0, 0, 1)
        assert found.gain is not None
        assert found.gain.estimate == pytest.approx(-0.1)
        text = held_text(found)
        assert "In 0 of 2 conditions the recommended policy was the best" in text
        assert "in 1 of 2 it cost some" in text
        assert "brought -10.0 points; who had known the best policy of each beforehand would have had +6.5" in text

    def test_stock_counts_as_a_recommendation(self) -> None:
        found = held_out(cells({"gated": alike(LEFT + RIGHT, -0.1)}), QUICK)
        assert (found.best, len(found.held), found.stock_best, found.gain) == (2, 2, 2, None)
        assert "No half recommended another policy" in held_text(found)

    def test_one_half_alone_cannot_be_checked(self) -> None:
        found = held_out(cells({"gated": alike(LEFT, 0.1)}), QUICK)
        assert found.held == ()
        assert "too few clips" in held_text(found)


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
        assert policy_advice("speed/skip", path) == speed
        clean = policy_advice("clean", path)
        assert clean is not None
        assert (clean.policy, clean.gain, clean.changes_something) == ("stock", 0.0, False)
        cut = policy_advice("interjection", path)
        assert cut == policy_advice("interjection/cut", path)
        assert cut is not None
        assert cut.policy == "paths"
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
        tried += [Cell("m", "stock", "occlusion", 5, LEFT[0], None, {"fps": 10.0, "memory_mb": 300.0})]
        tried += [Cell("m", "gated", "occlusion", 5, LEFT[0], None, {"fps": 9.0, "memory_mb": 310.0})]
        rows = rows_of(tried)
        for policy, score in (("stock", 0.5), ("gated", 0.75)):
            for metric, value in ((SEEN, score), (HALLUCINATED, 0.25)):
                rows.append(
                    Record(run="d", clip="dog", model="m", policy=policy, family="long", severity=4, object=1,
                           frame=300, metric=metric, value=value)
                )  # fmt: skip
        facts = {"command": ["maskscope", "stress", "DATA"], "request": {"model": {"name": "m", "sha256": "ab" * 32}}}
        write_records(rows, tmp_path / "short.parquet", facts)
        page = tmp_path / "docs" / "which.md"
        advice = write_policy_page([tmp_path / "short.parquet"], page, QUICK)
        assert advice["occlusion"].policy == "gated"
        text = page.read_text()
        assert "maskscope stress DATA" in text
        assert "| clean clips | - | 8 | stock | - | - |" in text
        assert "| occlusion | 4-5 | 8 | gated | +10.0 [+10.0, +10.0] | 0.90x |" in text
        assert "| gated | 50.0 | +10.0 [+10.0, +10.0] |" in text
        assert "| 9.0 (0.90x) | +10 MB |" in text
        assert "| 300 | 1 | 50.0 (25 %) | 75.0 +25.0 (25 %) |" in text
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
