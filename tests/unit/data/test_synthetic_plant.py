"""Clips of plants: seeded, of any length, with true masks that fit the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskscope.data.mask_files import read_mask
from maskscope.data.synthetic.plant import SCENES, PlantConfig, SceneName, iter_plant
from maskscope.data.synthetic.plant_files import write_plant
from maskscope.data.synthetic.scene import SyntheticFrame
from maskscope.data.video import open_video
from maskscope.errors import OutputError, VideoError


def drawn(scene: SceneName, frames: int, fps: float, seed: int = 0) -> list[SyntheticFrame]:
    return list(iter_plant(PlantConfig(scene=scene, num_frames=frames, height_px=96, fps=fps, seed=seed)))


@pytest.mark.parametrize("scene", SCENES)
def test_a_frame_follows_from_seed_and_number_alone(scene: SceneName) -> None:
    short, longer, other = drawn(scene, 2, 25), drawn(scene, 3, 25), drawn(scene, 1, 25, seed=1)
    for a, b in zip(short, longer, strict=False):
        assert np.array_equal(a.rgb, b.rgb)
        assert np.array_equal(a.visible, b.visible)
    assert not np.array_equal(short[0].rgb, other[0].rgb)
    assert short[0].rgb.shape == (96, 170, 3)


@pytest.mark.parametrize("scene", SCENES)
def test_masks_fit_the_picture(scene: SceneName) -> None:
    first = drawn(scene, 1, 25)[0]
    target = first.visible == 1
    assert target.sum() > 100, "the object is seen on the first frame"
    for label, whole in first.amodal.items():
        assert not ((first.visible == label) & ~whole).any(), "what is seen is part of the whole"
    inside = first.rgb[target].mean(0).astype(float)
    outside = first.rgb[first.visible == 0].mean(0).astype(float)
    assert np.abs(inside - outside).max() > 12, "it can be told from the rest"


def test_the_conveyor_hides_its_part_shortly_and_the_hall_for_long() -> None:
    """At 10 frames a second: how long nothing is seen of an object whose whole outline is in the picture."""

    def longest(scene: SceneName) -> float:
        run = best = 0
        for frame in drawn(scene, 80, 10):
            shares = (frame.visible == 1).sum() / max(frame.amodal[1].sum(), 1)
            run = run + 1 if frame.amodal[1].sum() > 50 and shares < 0.5 else 0
            best = max(best, run)
        return best / 10

    conveyor, hall = longest("conveyor"), longest("hall")
    assert 0.2 <= conveyor <= 1.0
    assert hall >= 1.5


def test_the_hall_changes_its_light_and_the_inspection_its_distance() -> None:
    light = [frame.rgb.mean() for frame in drawn("hall", 16, 2)]
    assert max(light) / min(light) > 1.4
    area = [int(frame.amodal[1].sum()) for frame in drawn("inspection", 14, 2)]
    assert max(area) / min(area) > 4


def test_files(tmp_path: Path) -> None:
    config = PlantConfig(scene="conveyor", num_frames=3, height_px=96)
    film = write_plant(tmp_path / "clip", config)
    video = open_video(film)
    frames = list(iter_plant(config))
    assert (video.num_frames, video.height, video.width) == (3, 96, 170)
    assert np.abs(video[2].astype(float) - frames[2].rgb).mean() < 6
    assert np.array_equal(read_mask(tmp_path / "clip" / "all" / "00002.png"), frames[2].visible)
    assert np.array_equal(read_mask(tmp_path / "clip" / "masks" / "00002.png") > 0, frames[2].visible == 1)
    with pytest.raises(OutputError, match="there already"):
        write_plant(tmp_path / "clip", config)


@pytest.mark.parametrize("wrong", [{"scene": "street"}, {"height_px": 20}, {"num_frames": 0}, {"fps": 0.1}])
def test_what_cannot_be_drawn(wrong: dict[str, object]) -> None:
    with pytest.raises(VideoError, match="choose one"):
        PlantConfig(**wrong)  # type: ignore[arg-type]
