from __future__ import annotations

import csv
import io
from functools import partial

import numpy as np
import pytest

from maskscope.evaluate.presence import Presence
from maskscope.evaluate.protocol import evaluate_sequence, summarise
from maskscope.evaluate.scores import SequenceScore
from maskscope.evaluate.tables import dataset_row, frame_rows, object_row, records_of, sequence_row, to_csv
from maskscope.records import Record


def box(label: int, left: int) -> np.ndarray:
    labels = np.zeros((20, 40), dtype=np.uint8)
    labels[5:15, left : left + 10] = label
    return labels


NOTHING = np.zeros((20, 40), dtype=np.uint8)


@pytest.fixture(scope="module")
def score() -> SequenceScore:
    """Object 1: found, missed, gone and left alone, found again; object 2: always elsewhere."""
    truths = [box(1, 0) + box(2, 20), box(1, 0) + box(2, 20), box(2, 20), box(1, 0) + box(2, 20), box(1, 0)]
    predictions = [box(1, 0), NOTHING + box(2, 30), box(2, 30), box(1, 0) + box(2, 30), NOTHING]
    return evaluate_sequence(predictions, truths, "davis", name="dog")


def test_rows_of_frames(score: SequenceScore) -> None:
    rows = list(frame_rows(score.objects[0], "dog"))
    assert [row["frame"] for row in rows] == [1, 2, 3]
    assert [row["outcome"] for row in rows] == ["miss", "absence", "hit"]
    assert [row["j"] for row in rows] == [0.0, 1.0, 1.0]
    assert rows[0] == {
        "sequence": "dog", "object": 1, "frame": 1, "j": 0.0, "f": 0.0, "iou": 0.0, "outcome": "miss",
        "truth_px": 100, "predicted_px": 0,
    }  # fmt: skip


def test_rows_of_objects_and_their_mean(score: SequenceScore) -> None:
    first, second = (object_row(each, "dog") for each in score.objects)
    assert (first["j"], second["j"]) == (pytest.approx(2 / 3), 0.0)
    assert (first["returns"], first["recovered"], first["latency_frames"]) == (1, 1.0, 0.0)
    assert (second["drift"], second["returns"], second["recovered"]) == (1.0, 0, None)
    row = sequence_row(score)
    assert row["objects"] == 2
    assert row["j"] == pytest.approx(1 / 3)
    assert row["miss"] == pytest.approx((0.5 + 0) / 2)
    assert row["absence_detection"] == 1.0  # of the one object that was ever absent
    assert row["recovered"] == 1.0


def test_data_sets_average_j_over_objects_and_presence_over_sequences(score: SequenceScore) -> None:
    alone = evaluate_sequence([box(1, 0)] * 4, [box(1, 0)] * 4, "davis", name="cat")
    row = dataset_row(summarise([score, alone]), [score, alone])
    assert row["objects"] == 3
    assert row["j"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert row["hit"] == pytest.approx(((0.5 + 0) / 2 + 1) / 2)


def test_mose_adds_its_own_columns(score: SequenceScore) -> None:
    truths = [box(1, 0), box(1, 0), NOTHING, box(1, 0), box(1, 0)]
    mose = evaluate_sequence(truths, truths, "mose", name="dog")
    row = dataset_row(summarise([mose]), [mose])
    assert row["j_and_f_adaptive"] == row["disappearance"] == row["reappearance"] == 1.0
    assert "disappearance" not in sequence_row(score)
    assert "f_adaptive" in next(frame_rows(mose.objects[0], "dog"))


def test_csv_leaves_empty_what_cannot_be_measured(score: SequenceScore) -> None:
    rows = [object_row(each, "dog") for each in score.objects]
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [row["object"] for row in read] == ["1", "2"]
    assert float(read[0]["j"]) == rows[0]["j"]  # to the last bit
    assert read[1]["recovered"] == ""


def test_records_hold_every_number_once(score: SequenceScore) -> None:
    records = list(records_of(score, partial(Record, run="run", clip="dog", protocol="davis")))
    keys = [(record.object, record.frame, record.metric) for record in records]
    assert len(keys) == len(set(keys))
    found = dict(zip(keys, records, strict=True))
    assert found[1, 1, "outcome"].state == "miss"
    assert found[1, 3, "j"].value == 1.0
    assert found[2, None, "drift"].value == 1.0
    assert (2, None, "recovered") not in found
    assert {"j", "j_recall", "robustness", "quality"} <= {metric for number, frame, metric in keys if frame is None}
    assert found[1, None, "robustness"].value == Presence.of(score.objects[0]).robustness
