"""Made-up clips as a data set: what is read again is what was drawn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskscope.assets import demo_clip
from maskscope.data.davis import DavisDataset
from maskscope.data.label_maps import read_labels
from maskscope.data.layouts import recognise
from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.data.synthetic.davis import write_davis
from maskscope.errors import OutputError, SettingError

SMALL = SyntheticConfig(seed=4, num_frames=3, height_px=96, width_px=170, blur_samples=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made-up") / "set"
    assert write_davis(path, 2, SMALL) == ["bundled", "drawn-01", "drawn-02"]
    return path


def test_the_bundled_clip_is_the_package_s(folder: Path) -> None:
    found, clip = DavisDataset(folder)["bundled"], demo_clip()
    assert recognise(folder).layout == "davis"
    assert (found.num_frames, found.object_ids) == (len(clip.masks), clip.object_ids)
    for index in (0, 41, 83):
        np.testing.assert_array_equal(found.masks(index), clip.masks[index])
    whole = read_labels(folder / "Amodal/480p/bundled/00041.png")
    assert not clip.masks[41].any(), "hidden by the thicket"
    assert ((whole > 0) == (clip.amodal_masks[1][41] | clip.amodal_masks[2][41])).all()


def test_drawn_clips_are_those_of_their_seeds(folder: Path) -> None:
    data = DavisDataset(folder)
    for number, occlusion in ((1, "full"), (2, "partial")):
        drawn = synthesize_clip(replace(SMALL, seed=4 + number, occlusion=occlusion))
        found = data[f"drawn-{number:02d}"]
        for index in range(3):
            np.testing.assert_array_equal(found.masks(index), drawn.visible_masks[index])
            difference = found.frame(index).astype(int) - drawn.frames[index]
            assert np.abs(difference).mean() < 4, "JPEG"


def test_what_is_there_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "Amodal/480p/bundled").mkdir(parents=True)
    with pytest.raises(OutputError, match="exists already"):
        write_davis(tmp_path)
    with pytest.raises(SettingError, match="-1 clips cannot be drawn"):
        write_davis(tmp_path / "other", -1)


def test_the_command_says_mistakes_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "maskscope.data.synthetic", "--write-davis", str(tmp_path), "--height", "7"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: height_px is 7")
