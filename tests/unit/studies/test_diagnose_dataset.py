"""A data set of two tiny clips diagnosed by a tiny model: jobs, what they leave, and what holds over them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskscope.errors import DatasetError, SettingError
from maskscope.model.checkpoints import save_checkpoint
from maskscope.palette import davis_palette
from maskscope.records import Record, read_facts, read_records
from maskscope.studies import diagnose_job
from maskscope.studies.diagnose_dataset import (
    DatasetOptions,
    DatasetSummary,
    dataset_jobs,
    diagnose_dataset,
    onsets,
)
from maskscope.studies.observe import ObserveOptions
from maskscope.studies.stress_clip import ModelSpec
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask

FRAMES = 4
ANY = ModelSpec("any", "0" * 64, "float32")


def write_clip(root: Path, name: str, empty: bool = False, late: int = 0) -> None:
    images, masks = root / "JPEGImages" / "480p" / name, root / "Annotations" / "480p" / name
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for t, frame in enumerate(moving_square(FRAMES, SIDE, SIDE)):
        Image.fromarray(frame).save(images / f"{t:05d}.jpg")
        labels = np.zeros((SIDE, SIDE), np.uint8) if empty or t < late else square_mask(t, SIDE, SIDE).astype(np.uint8)
        picture = Image.fromarray(labels)
        picture.putpalette(davis_palette().tobytes())
        picture.save(masks / f"{t:05d}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips, one with its object from the second frame on, and one without an object."""
    folder = tmp_path_factory.mktemp("dataset")
    write_clip(folder / "data", "cow", late=1)
    write_clip(folder / "data", "dog")
    write_clip(folder / "data", "nothing", empty=True)
    save_checkpoint(tiny_model(), folder / "small.safetensors")
    return folder


def options(place: Path) -> DatasetOptions:
    observe = ObserveOptions(model=str(place / "small.safetensors"), device="cpu", precision="float32")
    return DatasetOptions(observe, ("illumination",), (1, 5), intervene=False)


@pytest.fixture(scope="module")
def summary(place: Path) -> DatasetSummary:
    return diagnose_dataset(place / "data", place / "out", options(place), command=["maskscope", str(place / "data")])


def test_a_clip_that_fails_stops_no_other(place: Path, summary: DatasetSummary) -> None:
    assert (summary.jobs.computed, summary.jobs.left) == (2, 0)
    assert list(summary.jobs.failed) == ["nothing"]
    assert summary.found is not None
    assert summary.found.clips == ("cow", "dog")


def test_one_file_of_records_for_all_and_one_diagnosis_for_each(place: Path, summary: DatasetSummary) -> None:
    out = summary.folder
    rows, facts = read_records(out / "records.parquet"), read_facts(out / "records.parquet")
    assert {row.clip for row in rows} == {"cow", "dog"}
    assert {(row.family, row.severity) for row in rows} == {("", 0), ("illumination", 1), ("illumination", 5)}
    assert all(row.frame is None for row in rows if not row.metric.startswith(("loss", "blame")))
    assert facts["command"] == ["maskscope", "data"]
    assert list(facts["failed"]) == ["nothing"]
    whole = read_records(out / "clips" / "dog" / "records.parquet")
    frames = [row.value for row in whole if row.metric == "j" and row.family == "" and row.frame]
    mean = next(row.value for row in rows if row.metric == "j" and row.clip == "dog" and not row.family)
    assert mean == pytest.approx(np.mean(frames))
    assert (out / "clips" / "dog" / "report.html").exists()
    assert json.loads((out / "summary.json").read_text())["findings"]["clips"] == ["cow", "dog"]


def test_each_clip_is_read_by_what_the_other_was_fitted_on(summary: DatasetSummary) -> None:
    rows = [row for row in read_records(summary.folder / "records.parquet") if row.metric.endswith("_others")]
    own = {row.clip: row.run for row in read_records(*summary.jobs.files)}
    for clip in ("cow", "dog"):
        mine = [row for row in rows if row.clip == clip]
        assert {row.stage for row in mine if row.metric == "separation_auc_others"} == {
            *("image_embedding", "memory_conditioned", "prompt_attended", "memory_features")
        }
        assert {row.run for row in mine} == {own[clip]}
        assert all(row.value is not None and 0 <= row.value <= 1 and not row.family for row in mine)
        assert {row.stage for row in mine if row.metric == "separation_auc_rgb_others"} == {None}
    assert summary.found is not None
    assert len(summary.found.across) == 4


def test_the_page_answers_and_links(summary: DatasetSummary) -> None:
    assert summary.report is not None
    page = summary.report.read_text(encoding="utf-8")
    assert "Cannot be told from 2 clips" in page
    assert 'href="clips/dog/report.html"' in page
    assert "nothing: " in page  # what is left out, and why


def test_the_same_again_computes_nothing_but_what_failed(
    place: Path, summary: DatasetSummary, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(diagnose_job, "diagnose_clip", never)
    again = diagnose_dataset(place / "data", summary.folder, options(place))
    assert (again.jobs.computed, len(again.jobs.files), list(again.jobs.failed)) == (0, 2, ["nothing"])


def test_stopping_leaves_the_rest_for_the_next_run(place: Path, tmp_path: Path) -> None:
    asked = iter(range(6))
    found = diagnose_dataset(place / "data", tmp_path, options(place), stop=lambda: next(asked, None) is None)
    assert found.jobs.left == 3
    assert found.found is None


@pytest.mark.parametrize(
    "other",
    [
        {"severities": (1,)},
        {"seed": 1},
        {"intervene": True},
        {"reverse": True},
        {"ablate": False},
        {"max_frames": 3},
        {"families": ("speed",)},
    ],
    ids=str,
)
def test_whatever_decides_the_rows_names_the_job(place: Path, other: dict[str, object]) -> None:
    one = DatasetOptions(families=("illumination",), severities=(1, 5), intervene=False)
    digests = [
        {job.digest for job in dataset_jobs(place / "data", place, each, ANY)}
        for each in (one, replace(one, **other))  # type: ignore[arg-type]
    ]
    assert not digests[0] & digests[1]


def test_the_folder_of_results_decides_nothing(place: Path, tmp_path: Path) -> None:
    digests = [
        [job.digest for job in dataset_jobs(place / "data", out, DatasetOptions(), ANY)] for out in (place, tmp_path)
    ]
    assert digests[0] == digests[1]


def test_refusals_come_before_the_work(place: Path, tmp_path: Path) -> None:
    for wrong in ({"families": ("ilumination",)}, {"families": ("speed:3",)}, {"severities": ()}, {"limit": 0}):
        with pytest.raises(SettingError):
            dataset_jobs(place / "data", tmp_path, replace(DatasetOptions(), **wrong), ANY)  # type: ignore[arg-type]
    with pytest.raises(DatasetError):
        dataset_jobs(tmp_path, tmp_path, DatasetOptions(), ANY)


def test_the_onset_over_clips_is_where_it_was_planted() -> None:
    taps = [f"memory_attention.{n}.{part}" for n in range(2) for part in ("self", "cross", "mlp")] + ["mask_logits"]
    rows = [
        Record(run="r", clip=f"clip{n}", metric=metric, value=value, stage="memory_conditioned", tap=tap, object=1)
        for n in range(8)
        for at, tap in enumerate(taps)
        for metric, value in (
            ("separation_auc", 0.6 + 0.3 * (at >= 4) + 0.01 * ((n + at) % 3)),
            ("separation_auc_control", 0.6 + 0.3 * (at >= 4)),
        )
    ]
    found = onsets(rows)
    assert found["separation_auc"]["tap"] == "memory_conditioned/memory_attention.1.cross"
    assert found["separation_auc"]["rise"] == pytest.approx(0.3, abs=0.02)
    assert found["above_control"]["tap"] is None  # the control rises as much
    assert len(found["separation_auc"]["places"]) == 6  # mask logits have finer cells
    assert onsets(rows[:14]) == {}  # of one clip
