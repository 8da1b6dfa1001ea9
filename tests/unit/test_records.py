"""Rows of results go to Parquet and come back as they were; what is no such file is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from maskscope.errors import OutputError, RecordError, SettingError
from maskscope.records import COLUMNS, SCHEMA_VERSION, Record, merge_records, read_facts, read_records, write_records

ROWS = [
    Record(run="r1", clip="dog", metric="j", value=0.25, frame=3, object=1, protocol="davis", policy="stock"),
    Record(run="r1", clip="dog", metric="outcome", state="miss", frame=4, object=2, severity=5, seed=7, family="speed"),
    Record(
        run="r1", clip="über", metric="distance", value=-1.5, frame=0, stage="object_pointer", provenance='{"a": 1}'
    ),
    Record(run="r2", clip="dog", metric="objects", value=2.0),
    Record(run="r2", clip="dog", metric="separation_auc", value=0.75, stage="memory_conditioned", tap="layer0.self"),
]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    write_records(ROWS, tmp_path / "deep" / "a.parquet", {"seconds": 1.5})
    write_records([], tmp_path / "none.parquet")
    assert read_records(tmp_path / "deep" / "a.parquet", tmp_path / "none.parquet") == ROWS
    assert read_facts(tmp_path / "deep" / "a.parquet") == {"seconds": 1.5}
    assert [path.name for path in tmp_path.glob("deep/.*")] == [], "nothing half written is left"


def test_files_become_one(tmp_path: Path) -> None:
    for name, rows in (("a", ROWS[:1]), ("none", []), ("b", ROWS[1:])):
        write_records(rows, tmp_path / name)
    merge_records([tmp_path / name for name in ("a", "none", "b")], tmp_path / "all", {"of": 3})
    assert read_records(tmp_path / "all") == ROWS
    assert read_facts(tmp_path / "all") == {"of": 3}


def test_columns_have_types_also_where_nothing_is_in_them(tmp_path: Path) -> None:
    write_records(ROWS[3:], tmp_path / "a.parquet")
    schema = pq.read_schema(tmp_path / "a.parquet")
    types = dict(zip(schema.names, schema.types, strict=True))
    assert tuple(types) == COLUMNS
    assert types["frame"] == pa.int32()
    assert types["value"] == pa.float64()
    assert pq.read_table(tmp_path / "a.parquet")["state"].null_count == 2
    assert pq.read_table(tmp_path / "a.parquet")["tap"].to_pylist() == ["", "layer0.self"]


@pytest.mark.parametrize("wrong", [{"value": float("nan")}, {"value": float("inf")}, {}, {"value": 1.0, "clip": ""}])
def test_a_row_that_says_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match=r"finite|neither|names"):
        Record(**{"run": "r", "clip": "c", "metric": "j"} | wrong)


@pytest.mark.parametrize("version", [1, 99])
def test_another_version_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.parquet"
    write_records(ROWS, path)
    table = pq.read_table(path)
    table = table.drop_columns(["tap"]) if version == 1 else table
    metadata = {**table.schema.metadata, b"maskscope.records": str(version).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    expected = rf"holds version {version} of the records, expected version {SCHEMA_VERSION}; compute them again"
    for read in (read_facts, read_records):
        with pytest.raises(RecordError, match=expected) as refused:
            read(path)
        assert "\n" not in str(refused.value)
    with pytest.raises(RecordError, match=expected):
        merge_records([path], tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_what_is_no_table_of_records_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_records(ROWS, path)
    table = pq.read_table(path)
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(RecordError, match="no records of this program"):
        read_facts(path)
    pq.write_table(table.drop_columns(["seed"]), path)
    with pytest.raises(RecordError, match="lacks the columns seed"):
        read_records(path)


@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_half_written_file_is_refused(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.parquet"
    write_records(ROWS, path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(RecordError, match="no whole table of results"):
        read_facts(path)
    with pytest.raises(RecordError, match="no whole table of results"):
        read_facts(tmp_path / "missing.parquet")


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("maskscope.extras.import_module", without)
    with pytest.raises(SettingError, match=r"need pyarrow, which is not installed; pip install 'maskscope\[tables\]'"):
        write_records(ROWS, tmp_path / "a.parquet")


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_records(ROWS, tmp_path / "file" / "a.parquet")
