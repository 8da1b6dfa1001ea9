from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from dataset_folders import (
    davis,
    labels,
    mose,
    numbers,
    sav,
    save_frames,
    save_masks,
    square,
    video,
    youtube_train,
    youtube_valid,
)

from maskscope.data.layouts import open_dataset
from maskscope.data.mose import MoseDataset
from maskscope.data.summary import ObjectSummary, SequenceSummary, summarise_dataset, summarise_sequence


def summarised(root: Path) -> SequenceSummary:
    (summary,) = summarise_dataset(open_dataset(root))
    return summary


def clip(root: Path, masks: list[np.ndarray]) -> tuple[ObjectSummary, ...]:
    save_frames(root / "JPEGImages/clip", numbers(len(masks)))
    save_masks(root / "Annotations/clip", dict(zip(numbers(len(masks)), masks, strict=True)))
    return summarise_sequence(MoseDataset(root)["clip"]).objects


def test_size_and_motion_of_known_squares(tmp_path: Path) -> None:
    alone, pair = summarise_dataset(open_dataset(davis(tmp_path)), threads=2)
    assert (alone.name, pair.name) == ("alone", "pair")
    assert (pair.frames, pair.annotated, pair.height, pair.width, pair.fps) == (4, 4, 12, 20, 24.0)
    moving, still = pair.objects
    assert moving.area_share == pytest.approx(16 / 240)
    assert moving.side_px == 4.0
    assert moving.motion_median == moving.motion_max == pytest.approx(1 / 4)  # a pixel a frame over a side of 4
    assert (moving.absences, moving.longest_absence_frames) == (0, 0)
    assert (moving.frames_known, moving.frames_seen) == (4, 4)
    assert still.motion_max == 0.0
    assert still.side_px == pytest.approx(3.0)


def test_a_step_is_diagonal_and_the_largest_counts(tmp_path: Path) -> None:
    (thing,) = clip(tmp_path, [labels(_1=square(0, 0)), labels(_1=square(1, 0)), labels(_1=square(4, 4))])
    assert thing.motion_max == pytest.approx(5 / 4)
    assert thing.motion_median == pytest.approx((1 / 4 + 5 / 4) / 2)


def test_a_step_is_over_the_mean_of_both_areas(tmp_path: Path) -> None:
    (thing,) = clip(tmp_path, [labels(_1=square(0, 0, side=2)), labels(_1=square(0, 0, side=4))])
    assert thing.motion_max == pytest.approx(math.sqrt(2) / math.sqrt((4 + 16) / 2))


def test_absences_from_the_first_appearance_on(tmp_path: Path) -> None:
    summary = summarised(mose(tmp_path))  # object 2 is away on 2, 3 and at the end, 6
    stays, leaves = summary.objects
    assert (stays.absences, stays.longest_absence_frames) == (0, 0)
    assert (leaves.absences, leaves.longest_absence_frames) == (2, 2)
    assert leaves.frames_seen == 4
    assert leaves.motion_max == 0.0  # no step over an absence
    assert (summary.row["absences"], summary.row["longest_absence_frames"]) == (2, 2)


def test_an_absence_that_does_not_end_lasts_to_the_last_mask(tmp_path: Path) -> None:
    there, gone = labels(_1=square(0), _2=square(15)), labels(_1=square(0))
    _, leaves = clip(tmp_path, [there, gone, there, gone, gone, gone])
    assert (leaves.absences, leaves.longest_absence_frames) == (2, 3)


def test_before_its_first_appearance_an_object_is_not_away(tmp_path: Path) -> None:
    _, late = summarised(youtube_train(tmp_path)).objects
    assert late.first_frame == 2
    assert (late.absences, late.frames_known, late.frames_seen) == (0, 5, 3)


def test_prompts_say_nothing_of_motion_and_absence(tmp_path: Path) -> None:
    summary = summarised(youtube_valid(tmp_path))
    assert summary.annotated == 2
    for thing in summary.objects:
        assert (thing.motion_median, thing.motion_max, thing.absences, thing.longest_absence_frames) == (None,) * 4
        assert thing.frames_known == 1
    assert summary.row["motion_max"] is summary.row["absences"] is summary.row["motion_median"] is None
    assert summary.row["area_share"] == pytest.approx((16 + 9) / 2 / 240)


def test_motion_is_of_one_frame_where_masks_are_apart(tmp_path: Path) -> None:
    person, hand = summarised(sav(tmp_path)).objects
    assert person.motion_median == pytest.approx(1 / 4 / 6)  # a pixel in four frames over a side of 6
    assert person.side_px == 6.0  # the hand before it does not count against it
    assert hand.first_frame == 4
    assert hand.absences == 0


def test_absences_are_counted_in_frames_where_masks_are_apart(tmp_path: Path) -> None:
    masks = sav(tmp_path) / "Annotations_6fps/sav_000262/000"
    save_masks(masks, {"00004": labels() * 255})
    person, _ = summarised(tmp_path).objects
    assert (person.absences, person.longest_absence_frames) == (1, 4)


def test_rows_are_json_values(tmp_path: Path) -> None:
    for summary in summarise_dataset(open_dataset(video(tmp_path))):
        content = summary.as_dict()
        assert content["name"] in ("clip", "stills")
        assert len(content["objects"]) == len(summary.objects) == summary.row["objects"]
        for thing in content["objects"]:
            assert all(value is None or type(value) in (int, float) for value in thing.values())


def test_known_figures_of_a_reference_sequence(shared: Path) -> None:
    """`car-shadow`: area and motion recomputed from the masks without this code."""
    sequence = open_dataset(shared / "davis2016")["car-shadow"]
    masks = [sequence.masks(index) for index in range(sequence.num_frames)]
    areas = np.array([(labels == 1).sum() for labels in masks if labels is not None], dtype=np.float64)
    centres = np.array([np.argwhere(labels == 1).mean(axis=0) for labels in masks if labels is not None])
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1) / np.sqrt((areas[1:] + areas[:-1]) / 2)
    (car,) = summarise_sequence(sequence).objects
    assert car.area_share == pytest.approx(np.median(areas) / (480 * 854))
    assert car.motion_median == pytest.approx(np.median(steps))
    assert car.motion_max == pytest.approx(steps.max())
    assert car.absences == 0
