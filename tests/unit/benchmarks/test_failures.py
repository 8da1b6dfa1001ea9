"""The picture of failures: what it says of a frame, where it is cut, and that a tiny one is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from track_cases import make_weights

import failures
from benchmark_run import refusal, run
from failures import CASES, Case, Seen, cut
from maskscope.data.synthetic import SyntheticConfig, iter_clip


def seen(truth: tuple[slice, slice] | None, found: tuple[slice, slice] | None, index: int = 3) -> Seen:
    masks = [np.zeros((90, 160), np.bool_), np.zeros((90, 160), np.bool_)]
    for mask, window in zip(masks, (truth, found), strict=True):
        if window is not None:
            mask[window] = True
    return Seen(index, np.zeros((90, 160, 3), np.uint8), *masks)


@pytest.mark.parametrize(
    ("truth", "found", "caption"),
    [
        (np.s_[10:20, 10:20], np.s_[10:20, 10:15], "3: J 50"),
        (np.s_[10:20, 10:20], None, "3: J 0, nothing found"),
        (None, np.s_[0:2, 0:3], "3: absent, 6 pixels found"),
        (None, None, "3: absent, nothing found"),
    ],
)
def test_a_caption_tells_absence_from_failure(
    truth: tuple[slice, slice] | None, found: tuple[slice, slice] | None, caption: str
) -> None:
    assert seen(truth, found).caption == caption


@pytest.mark.parametrize("corner", [np.s_[0:4, 0:4], np.s_[86:90, 150:160], np.s_[40:44, 80:84]])
def test_a_cut_holds_all_of_truth_and_findings_in_the_pictures_aspect(corner: tuple[slice, slice]) -> None:
    frames = [seen(corner, None), seen(np.s_[30:50, 60:100], corner)]
    rows, columns = cut(frames)
    whole = np.zeros((90, 160), np.bool_)
    whole[rows, columns] = True
    assert all(whole[one.truth].all() and whole[one.found].all() for one in frames)
    assert (columns.stop - columns.start) / (rows.stop - rows.start) == pytest.approx(160 / 90, rel=0.05)
    small_rows, _ = cut(frames[:1])
    assert small_rows.stop - small_rows.start == 27, "not closer than is good to look at"


def test_every_row_begins_with_its_object_in_sight() -> None:
    for case in CASES.values():
        assert case.shown[0] == 0
        assert sorted(set(case.shown)) == list(case.shown)
        assert (next(case.clip()).visible == 1).sum() > 200


def test_a_tiny_picture_and_a_mistake(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = SyntheticConfig(height_px=64, width_px=96, num_frames=3, blur_samples=1, occlusion="none")
    monkeypatch.setattr(failures, "CASES", {"tiny": Case("A title", lambda: iter_clip(config), (0, 1))})
    load = failures.load_model
    monkeypatch.setattr(failures, "load_model", lambda name, **given: load(name, image_size=(64, 96), **given))
    weights, out = make_weights(tmp_path / "untrained.safetensors"), tmp_path / "failures.jpg"
    run(monkeypatch, failures, "--model", str(weights), "--out", str(out))
    told = capsys.readouterr().out
    assert told.startswith("tiny: 0: J ")
    assert "; 1: " in told
    with Image.open(out) as picture:
        assert picture.width == failures.WIDTH_PX
    assert out.stat().st_size < 200_000
    assert "there is no row 'none'; there are: tiny" in refusal(monkeypatch, capsys, failures, "--only", "none")
