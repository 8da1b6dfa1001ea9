"""The table of a stress study, from rows whose answer is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskscope.errors import RecordError, SettingError
from maskscope.evaluate.statistics import Bootstrap
from maskscope.records import Record, write_records
from maskscope.report.stress_figure import draw_stress, stress_figure
from maskscope.report.stress_table import StressRow, stress_rows

QUICK = Bootstrap(resamples=200)


def frames(clip: str, number: int, *told: tuple[float, float, str], **conditions: object) -> list[Record]:
    """Rows of one object: J, F and outcome of each frame."""
    rows = []
    for t, (j, f, outcome) in enumerate(told, start=1):
        place = {"run": "r", "clip": clip, "object": number, "frame": t, "protocol": "davis-stress"} | conditions
        place = {"model": "m", "policy": "stock"} | place
        rows += [Record(**place, metric="j", value=j), Record(**place, metric="f", value=f)]  # type: ignore[arg-type]
        rows += [Record(**place, metric="outcome", state=outcome)]  # type: ignore[arg-type]
    return rows


HIT, MISS, DRIFT = (0.9, 0.7, "hit"), (0.0, 0.0, "miss"), (0.1, 0.1, "drift")
EMPTY, GHOST = (1.0, 1.0, "absence"), (0.0, 0.0, "hallucination")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two clips, one family at severities 1 and 4, the latter with two seeds; and an object that lacks severity 4."""
    speed = {"family": "speed", "transform": "speed"}
    strength = {"run": "r", "clip": "a", "model": "m", "policy": "stock", "metric": "strength", "frame": 0} | speed
    content = {
        "clean": [*frames("a", 1, HIT, HIT), *frames("b", 1, HIT, HIT), *frames("b", 2, HIT, HIT)],
        "one": [
            *frames("a", 1, HIT, MISS, severity=1, **speed),
            *frames("b", 1, HIT, HIT, severity=1, **speed),
            *frames("b", 2, HIT, HIT, severity=1, **speed),
            Record(**strength, severity=1, value=0.25),  # type: ignore[arg-type]
            Record(**strength, severity=1, state="undefined"),  # type: ignore[arg-type]
        ],
        "four": [
            *frames("a", 1, MISS, DRIFT, EMPTY, GHOST, severity=4, seed=0, **speed),
            *frames("a", 1, MISS, MISS, MISS, MISS, severity=4, seed=1, **speed),
            *frames("b", 1, HIT, DRIFT, severity=4, seed=0, **speed),
        ],
    }
    for name, rows in content.items():
        write_records(rows, tmp_path / f"{name}.parquet")
    return sorted(tmp_path.glob("*.parquet"))


def test_retention_is_of_the_same_objects(files: list[Path]) -> None:
    clean, one, four, mean = stress_rows(files, QUICK)
    assert (clean.family, clean.severity, clean.objects, clean.clips) == ("", 0, 3, 2)
    assert clean.score == pytest.approx(0.8)
    assert (one.severity, one.objects, one.clips) == (1, 2, 2), "the object that lacks severity 4 counts nowhere"
    assert one.score == pytest.approx((0.4 + 0.8) / 2)
    assert one.retention == pytest.approx(0.75)
    assert one.drop == pytest.approx(0.2)
    assert four.score == pytest.approx(((0.275 + 0) / 2 + 0.45) / 2), "seeds are averaged first"
    assert mean.severity is None
    assert mean.retention == pytest.approx(((one.retention or 0) + (four.retention or 0)) / 2)
    assert mean.breaking == 1
    for row in (one, four, mean):
        assert row.retention_low is not None
        assert row.retention_low <= (row.retention or 0) <= (row.retention_high or 0)


def test_failures_are_shares_of_the_frames_that_count(files: list[Path]) -> None:
    clean, one, four, mean = stress_rows(files, QUICK)
    assert (clean.miss, clean.drift, clean.hallucination) == (0, 0, 0)
    assert one.miss == pytest.approx((0.5 + 0 + 0) / 3)
    assert four.miss == pytest.approx(((0.25 + 1) / 2 + 0) / 2)
    assert four.drift == pytest.approx((0.25 / 2 + 0.5) / 2)
    assert four.hallucination == pytest.approx((0.25 / 2 + 0) / 2)
    assert mean.miss == pytest.approx(((one.miss or 0) + (four.miss or 0)) / 2)
    assert (one.strength, four.strength) == (0.25, None)


def test_matched_retention_is_of_the_same_moments(tmp_path: Path) -> None:
    """Every second frame is left out and one is foreign: what they did to the clean average does not count."""
    place = {"family": "speed", "severity": 2, "run": "fast"}
    rows = [
        *frames("a", 1, HIT, DRIFT, HIT, DRIFT, HIT, run="clean"),
        *frames("a", 1, (0.5, 0.3, "hit"), EMPTY, (0.3, 0.5, "hit"), MISS, GHOST, **place),
    ]
    where = {"clip": "a", "model": "m", "policy": "stock"} | place
    for t, moment in enumerate((0.0, 1.2, None, 2.8, 7.0, 5.0)):
        told = {"state": "foreign"} if moment is None else {"value": moment}
        rows.append(Record(**where, metric="source_time", frame=t, **told))  # type: ignore[arg-type]
    write_records(rows, tmp_path / "a.parquet")
    _, row, mean = stress_rows([tmp_path / "a.parquet"], QUICK)
    assert row.matched_score == pytest.approx((0.4 + 0.4) / 2), "frames 1 and 3; 4 has no clean one, 5 no object"
    assert row.matched_retention == pytest.approx(0.4 / 0.8)
    assert row.retention == pytest.approx(((0.4 + 1 + 0.4) / 5) / ((3 * 0.8 + 2 * 0.1) / 5))
    assert mean.matched_retention is None


def test_trackers_are_apart(tmp_path: Path, files: list[Path]) -> None:
    write_records(
        [*frames("a", 1, HIT, policy="other"), *frames("a", 1, MISS, policy="other", family="speed", severity=1)],
        tmp_path / "z.parquet",
    )
    rows = stress_rows([*files, tmp_path / "z.parquet"], QUICK)
    other = [row for row in rows if row.policy == "other"]
    assert [(row.family, row.severity, row.score) for row in other[:2]] == [
        ("", 0, pytest.approx(0.8)),
        ("speed", 1, 0),
    ]
    assert len([row for row in rows if row.policy == "stock"]) == 4


def test_before_clean_clips_are_done_there_is_no_retention(files: list[Path]) -> None:
    rows = stress_rows([path for path in files if path.stem != "clean"], QUICK)
    assert [(row.family, row.severity) for row in rows] == [("", 0), ("speed", 1), ("speed", 4), ("speed", None)]
    assert [row.retention for row in rows] == [None] * 4
    assert rows[1].score == pytest.approx((0.4 + 0.8 + 0.8) / 3)


def test_a_damaged_file_is_one_line(files: list[Path]) -> None:
    files[0].write_bytes(files[0].read_bytes()[:100])
    with pytest.raises(RecordError, match="no whole table of results"):
        stress_rows(files)


def test_a_missing_duckdb_is_one_line(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from maskscope import extras

    ordinary = extras.import_module

    def without(name: str) -> object:
        if name == "duckdb":
            raise ModuleNotFoundError(name=name)
        return ordinary(name)

    monkeypatch.setattr(extras, "import_module", without)
    with pytest.raises(SettingError, match=r"need duckdb, which is not installed; pip install 'maskscope\[tables\]'"):
        stress_rows(files)


class TestFigure:
    def test_it_draws_the_table(self, files: list[Path]) -> None:
        rows = stress_rows(files, QUICK)
        figure = draw_stress(rows)
        above, below = figure.axes
        line = next(line for line in above.get_lines() if line.get_marker() == "o")
        assert list(line.get_xdata()) == [1, 4]
        assert list(line.get_ydata()) == [rows[1].retention, rows[2].retention]
        bars = [(round(bar.get_x() + bar.get_width() / 2), bar.get_y(), bar.get_height()) for bar in below.patches]
        assert [bar[0] for bar in bars] == [0, 0, 0, 1, 1, 1, 4, 4, 4]
        assert bars[6:] == [
            (4, 0, rows[2].miss),
            (4, pytest.approx(rows[2].miss), rows[2].drift),
            (4, pytest.approx((rows[2].miss or 0) + (rows[2].drift or 0)), rows[2].hallucination),
        ]
        assert above.get_title() == "speed"

    def test_it_is_written_whole(self, files: list[Path], tmp_path: Path) -> None:
        path = stress_figure(stress_rows(files, QUICK), tmp_path / "new" / "figure.png")
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    def test_without_a_transformation_there_is_nothing_to_draw(self) -> None:
        with pytest.raises(RecordError, match="no result of a transformation"):
            draw_stress([StressRow("m", "stock", "davis-stress", "", 0, 1, 1)])
