"""Rows of results: what was measured, of which object on which frame, under which conditions; kept in Parquet files.

Every study writes these rows and every report reads nothing else. One row holds one value, so that a new measure is a
new name and no new column.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from maskscope.errors import OutputError, RecordError
from maskscope.extras import load_extra
from maskscope.stages import Stage

SCHEMA_VERSION: Final = 2  # 1 had no column `tap`
"""Of the columns and what they mean; a file of another version is refused."""

_VERSION_KEY, _FACTS_KEY = b"maskscope.records", b"maskscope.facts"
_TYPES: Final = {"frame": "int32", "object": "int32", "severity": "int32", "seed": "int64", "value": "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One measured value, or one state.

    Attributes:
        run: identity of the computation: all rows that were computed together have one.
        clip: name of the source clip, without transformation.
        metric: what was measured, such as "j".
        value: finite, fractions in 0..1; None where only a state was found.
        state: a kind rather than a number, such as "miss"; None where there is a value alone.
        frame: number of the frame, from 0, in the clip as the tracker saw it; None for the whole clip.
        object: its number; None for the whole frame.
        stage: observation position, of measures taken inside the model.
        tap: finer place inside the stage; empty for the position itself.
        protocol: rules of evaluation that decide whether the row exists; empty where none are involved.
        model: name of the weights.
        policy: name of the memory policy.
        transform: recipe of the transformation; empty for the clip as it is.
        family: of the transformation, with its variant if one was asked for; empty for the clip as it is.
        severity: 0 for the clip as it is.
        seed: of the transformation.
        provenance: JSON of what else decided the value: versions, hash of the weights, precision.

    Raises:
        RecordError: neither value nor state, a value that is not finite, or no name of run, clip or metric.
    """

    run: str
    clip: str
    metric: str
    value: float | None = None
    state: str | None = None
    frame: int | None = None
    object: int | None = None
    stage: Stage | None = None
    tap: str = ""
    protocol: str = ""
    model: str = ""
    policy: str = ""
    transform: str = ""
    family: str = ""
    severity: int = 0
    seed: int = 0
    provenance: str = ""

    def __post_init__(self) -> None:
        if not (self.run and self.clip and self.metric):
            raise RecordError(f"a row names run, clip and metric, got {self.run!r}, {self.clip!r}, {self.metric!r}")
        if self.value is None and self.state is None:
            raise RecordError(f"{self.metric} of {self.clip} has neither value nor state")
        if self.value is not None and not math.isfinite(self.value):
            raise RecordError(
                f"{self.metric} of {self.clip} is {self.value}, expected a finite number", "give a state that says why"
            )


_GROUP_ROWS: Final = 200_000

COLUMNS: Final = tuple(field.name for field in fields(Record))


def encode_records(records: Iterable[Record], facts: Mapping[str, Any] | None = None) -> bytes:
    """The content of a Parquet file.

    Args:
        records: the rows, in this order.
        facts: JSON values about the file as a whole, kept beside them.

    Raises:
        SettingError: PyArrow is not installed.
    """
    arrow, parquet = _arrow()
    rows = list(records)
    columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    table = arrow.table(columns, schema=_schema(arrow).with_metadata(_metadata(facts)))
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd")
    return content.getvalue()


def write_records(records: Iterable[Record], path: Path | str, facts: Mapping[str, Any] | None = None) -> None:
    """Write a Parquet file that appears whole or not at all; arguments as of `encode_records`.

    Raises:
        OutputError: it cannot be written.
        SettingError: PyArrow is not installed.
    """
    write_whole(Path(path), encode_records(records, facts))


def read_records(*paths: Path | str) -> list[Record]:
    """Rows of one file after the other.

    Raises:
        RecordError: a file is missing, damaged, or of another version.
        SettingError: PyArrow is not installed.
    """
    arrow, parquet = _arrow()
    rows: list[Record] = []
    for path in paths:
        read_facts(path)
        try:
            table = parquet.read_table(path, columns=list(COLUMNS))
        except (arrow.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
        rows.extend(Record(**row) for row in table.to_pylist())
    return rows


def read_facts(path: Path | str) -> dict[str, Any]:
    """What was kept beside the rows of a file; reads its end only, so it tells cheaply whether a file is whole.

    Raises:
        RecordError: the file is missing, damaged, or of another version.
        SettingError: PyArrow is not installed.
    """
    arrow, parquet = _arrow()
    try:
        schema = parquet.read_schema(path)
    except (arrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    metadata: dict[bytes, bytes] = schema.metadata or {}
    version = metadata.get(_VERSION_KEY, b"").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        came = f"version {version} of the records" if version else "no records of this program"
        raise RecordError(f"{path} holds {came}, expected version {SCHEMA_VERSION}", "compute them again")
    if missing := [name for name in COLUMNS if name not in schema.names]:
        raise RecordError(f"{path} lacks the columns {', '.join(missing)}", "compute it again")
    try:
        facts = json.loads(metadata.get(_FACTS_KEY, b"{}"))
    except ValueError as error:
        raise _damaged(path, error) from error
    return facts if isinstance(facts, dict) else {}


def merge_records(files: Iterable[Path | str], path: Path | str, facts: Mapping[str, Any] | None = None) -> None:
    """Put the rows of many files into one, which appears whole or not at all; holds a part of them in memory at a time.

    Rows of small files are put together, as every group of rows costs some kilobytes.

    Raises:
        RecordError: a file is missing, damaged, or of another version.
        OutputError: the one cannot be written.
        SettingError: PyArrow is not installed.
    """
    arrow, parquet = _arrow()
    schema = _schema(arrow).with_metadata(_metadata(facts))
    content = io.BytesIO()
    with parquet.ParquetWriter(content, schema, compression="zstd") as writer:
        waiting: list[Any] = []
        for file in files:
            read_facts(file)
            try:
                waiting.append(parquet.read_table(file, columns=list(COLUMNS)).cast(schema))
            except (arrow.ArrowException, OSError) as error:
                raise _damaged(file, error) from error
            if sum(map(len, waiting)) >= _GROUP_ROWS:
                writer.write_table(arrow.concat_tables(waiting).unify_dictionaries().combine_chunks())
                waiting = []
        if waiting:
            writer.write_table(arrow.concat_tables(waiting).unify_dictionaries().combine_chunks())
    write_whole(Path(path), content.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and put it there by one rename, so that nobody ever sees half of it.

    Raises:
        OutputError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
    except OSError as error:
        raise OutputError(
            f"cannot write {path} ({error.strerror or error})", "check the folder, its access rights and the disk"
        ) from error


def _arrow() -> tuple[Any, Any]:
    purpose = "tables of results"
    return load_extra("pyarrow", "tables", purpose), load_extra("pyarrow.parquet", "tables", purpose)


def _schema(arrow: Any) -> Any:
    """Columns; text is kept once for all equal values, so names and provenance cost nothing."""
    text = arrow.dictionary(arrow.int32(), arrow.string())
    return arrow.schema([(name, getattr(arrow, _TYPES[name])() if name in _TYPES else text) for name in COLUMNS])


def _metadata(facts: Mapping[str, Any] | None) -> dict[bytes, bytes]:
    return {_VERSION_KEY: str(SCHEMA_VERSION).encode(), _FACTS_KEY: json.dumps(dict(facts or {})).encode()}


def _damaged(path: Path | str, error: Exception) -> RecordError:
    reason = " ".join(str(error).split())[:120]
    return RecordError(f"{path} is no whole table of results ({reason})", "remove it and compute it again")
