"""Material: textured, irregular, soft at the edge, moving; and the same from the same generator."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
from clips import ArrayClip, moving_disc_clip

from maskscope.transforms.base import Material
from maskscope.transforms.material import ClipMaterial, ProceduralMaterial
from maskscope.transforms.surfaces import SURFACES


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


DISC = moving_disc_clip(6)
SMALL = moving_disc_clip(3, (48, 64), name="small", objects=2)
MATERIALS = [ProceduralMaterial(), ClipMaterial(), ClipMaterial((DISC, SMALL))]
KINDS = ["drawn", "no clips", "two clips"]


@pytest.mark.parametrize("material", MATERIALS, ids=KINDS)
class TestEveryMaterial:
    def test_sizes_and_types(self, material: Material) -> None:
        assert material.texture(rng(), (40, 70)).shape == (40, 70, 3)
        assert material.texture(rng(), (40, 70)).dtype == np.uint8
        cutout = material.cutout(rng(), (50, 40))
        assert cutout.dtype == np.uint8
        assert cutout.shape[2] == 4
        assert 0.5 < cutout.shape[0] * cutout.shape[1] / 2000 < 1.5
        footage = material.footage(rng(), 5, (48, 64))
        assert len(footage) == 5
        assert {frame.shape for frame in footage} == {(48, 64, 3)}

    def test_it_follows_from_the_generator_and_outlives_a_pickle(self, material: Material) -> None:
        again = pickle.loads(pickle.dumps(material))
        for draw in ("texture", "cutout"):
            drawn = [getattr(one, draw)(rng(s), (40, 40)).tobytes() for one, s in ((material, 3), (again, 3))]
            assert drawn[0] == drawn[1]
            assert len({getattr(material, draw)(rng(s), (40, 40)).tobytes() for s in range(4)}) > 1
        assert all(
            np.array_equal(a, b)
            for a, b in zip(material.footage(rng(2), 3, (48, 64)), again.footage(rng(2), 3, (48, 64)), strict=True)
        )

    def test_cutouts_are_textured_lumps_with_soft_edges(self, material: Material) -> None:
        for seed in range(6):
            cutout = material.cutout(rng(seed), (64, 64))
            alpha = cutout[..., 3]
            assert 0.3 < np.mean(alpha >= 128) < 0.92  # no rectangle
            assert not alpha[0].any()
            assert not alpha[:, -1].any()
            rim = np.count_nonzero((alpha > 0) & (alpha < 255))
            assert rim > 100
            assert cutout[alpha == 255][:, :3].std(axis=0).max() > 8

    def test_footage_moves(self, material: Material) -> None:
        first, *_, last = material.footage(rng(1), 24, (48, 64))
        assert np.abs(first.astype(int) - last).mean() > 2
        assert first.std() > 15


@pytest.mark.parametrize("draw", SURFACES)
def test_surfaces_are_not_flat(draw: object) -> None:
    drawn = draw(rng(4), (64, 96))  # type: ignore[operator]
    assert drawn.shape == (64, 96, 3)
    assert drawn.std(axis=(0, 1)).max() > 8


def test_large_surfaces_are_drawn_in_part() -> None:
    assert ProceduralMaterial().texture(rng(1), (40, 700)).shape == (40, 700, 3)


def test_tiny_cutouts() -> None:
    assert ProceduralMaterial().cutout(rng(1), (5, 9)).shape == (5, 9, 4)


def test_a_pan_is_smooth() -> None:
    frames = [frame.astype(int) for frame in ProceduralMaterial().footage(rng(5), 24, (48, 64))]
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 0.7 * np.abs(frames[0] - frames[-1]).mean()


class TestClips:
    def test_cutouts_are_the_objects_of_other_clips(self) -> None:
        cutout = ClipMaterial((DISC,)).cutout(rng(), (64, 64))
        red = cutout[cutout[..., 3] == 255].mean(axis=0)
        assert red[0] > red[1] + 60
        assert red[0] > red[2] + 60

    def test_textures_are_parts_of_their_frames(self) -> None:
        flat = ArrayClip("flat", (np.full((20, 30, 3), (9, 8, 7), np.uint8),), (np.zeros((20, 30), np.uint8),))
        assert np.unique(ClipMaterial((flat,)).texture(rng(), (40, 10)).reshape(-1, 3), axis=0).tolist() == [[9, 8, 7]]

    def test_without_an_object_a_lump_is_drawn(self) -> None:
        flat = ArrayClip("flat", (np.full((20, 30, 3), 9, np.uint8),), (np.zeros((20, 30), np.uint8),))
        assert ClipMaterial((flat,)).cutout(rng(), (40, 40)).shape == (40, 40, 4)

    def test_an_object_that_the_border_cuts_is_passed_over(self) -> None:
        label = np.zeros((20, 30), np.uint8)
        label[5:15, :12] = 1
        image = np.full((20, 30, 3), 9, np.uint8)
        image[label > 0] = 250, 0, 0
        cutout = ClipMaterial((ArrayClip("cut", (image,), (label,)),)).cutout(rng(), (40, 40))
        assert cutout[cutout[..., 3] == 255][:, 1].max() > 0  # drawn, not the red square

    def test_footage_is_consecutive_and_turns_round(self) -> None:
        greys = tuple(np.full((12, 16, 3), 10 * t, np.uint8) for t in range(4))
        clip = ArrayClip("greys", greys, tuple(np.zeros((12, 16), np.uint8) for _ in greys))
        shown = [int(frame[0, 0, 0]) // 10 for frame in ClipMaterial((clip,)).footage(rng(), 9, (24, 32))]
        assert shown == [0, 1, 2, 3, 2, 1, 0, 1, 2]
        two = [int(frame[0, 0, 0]) // 10 for frame in ClipMaterial((clip,)).footage(rng(1), 2, (24, 32))]
        assert two[1] == two[0] + 1

    def test_footage_keeps_proportions(self) -> None:
        wide = np.zeros((10, 40, 3), np.uint8)
        wide[:, ::2] = 255  # columns of one pixel stay so in a window of the same height
        clip = ArrayClip("wide", (wide,), (np.zeros((10, 40), np.uint8),))
        (frame,) = ClipMaterial((clip,)).footage(rng(), 1, (10, 10))
        assert frame[0, :, 0].tolist() in ([0, 255] * 5, [255, 0] * 5)

    def test_the_clip_itself_can_be_left_out(self) -> None:
        material = ClipMaterial((DISC, SMALL))
        assert material.without("disc@occlusion:3").clips == (SMALL,)
        assert material.without("small#2").clips == (DISC,)
        assert material.without("other").clips == (DISC, SMALL)
