from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from maskscope.data.rle import RleWriter, read_rle
from maskscope.errors import DatasetError, OutputError, ShapeError

MASK = np.zeros((6, 9), bool)
MASK[2:5, 3:8] = True


def test_masks_and_numbers_come_back(tmp_path: Path) -> None:
    holed = MASK.copy()
    holed[3, 5] = False
    with RleWriter(tmp_path / "a.jsonl") as writer:
        writer.write(4, 0.125, 2, holed, object_score=0.75, predicted_iou=0.5)
        writer.write(5, 0.25, 300, np.zeros_like(MASK))
    full, empty = read_rle(tmp_path / "a.jsonl")
    np.testing.assert_array_equal(full.mask(), holed)
    assert (full.frame, full.time_s, full.object, full.size) == (4, 0.125, 2, (6, 9))
    assert (full.area_px, full.bbox_xywh) == (14, (3, 2, 5, 3))
    assert (full.object_score, full.predicted_iou) == (0.75, 0.5)
    assert (empty.area_px, empty.bbox_xywh, empty.object_score) == (0, (0, 0, 0, 0), None)
    assert not empty.mask().any()
    keys = ["frame", "time_s", "object", "size", "counts", "area_px", "bbox_xywh", "object_score", "predicted_iou"]
    assert list(json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])) == keys


def test_each_line_is_on_disk_at_once(tmp_path: Path) -> None:
    writer = RleWriter(tmp_path / "a.jsonl")
    for frame in range(3):
        writer.write(frame, frame / 24, 1, MASK)
        assert len(list(read_rle(tmp_path / "a.jsonl"))) == frame + 1
    writer.close()
    writer.close()


def test_a_cut_last_line_is_passed_over_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.jsonl"
    with RleWriter(path) as writer:
        writer.write(0, 0, 1, MASK)
        writer.write(1, 0, 1, MASK)
    path.write_bytes(path.read_bytes()[:-20])
    with caplog.at_level(logging.WARNING):
        assert [record.frame for record in read_rle(path)] == [0]
    assert "line 2 is cut off" in caplog.text


def test_rubbish_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with RleWriter(path) as writer:
        writer.write(0, 0, 1, MASK)
    good = path.read_text()
    path.write_text(good + '{"frame": 1}\n' + good)
    with pytest.raises(DatasetError, match=r"line 2 of .*a\.jsonl is not a mask record"):
        list(read_rle(path))
    with pytest.raises(DatasetError, match=r"cannot read masks from .*none\.jsonl \(No such file"):
        list(read_rle(tmp_path / "none.jsonl"))


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with RleWriter(tmp_path / "a.jsonl") as writer:
        with pytest.raises(OutputError, match="object 1 on frame 0 is NaN or infinite"):
            writer.write(0, 0, 1, MASK, object_score=float("nan"))
        with pytest.raises(ShapeError, match=r"\(1, 6, 9\)"):
            writer.write(0, 0, 1, MASK[None])
    assert (tmp_path / "a.jsonl").read_bytes() == b""
    with pytest.raises(OutputError, match="exists already"):
        RleWriter(tmp_path / "a.jsonl")


def test_a_full_disk_is_said_and_closing_is_quiet() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which this system lacks")
    with RleWriter("/dev/full", overwrite=True) as writer, pytest.raises(OutputError, match="disk full while writing"):
        writer.write(0, 0, 1, MASK)
