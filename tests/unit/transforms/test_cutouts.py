"""Cut-outs keep their colours to the edge, whatever happens to their size."""

from __future__ import annotations

import numpy as np
import pytest

from maskscope.transforms.cutouts import (
    cut_out,
    grouped,
    largest_part,
    lit,
    natural_outline,
    premultiplied,
    resized,
    soft_alpha,
)


def disc(size: int = 41, radius: float = 15.0) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - size // 2
    return rows**2 + columns**2 <= radius**2


def ring_cutout() -> np.ndarray:
    """Thin limbs: a red ring with nothing in it."""
    mask = disc(61, 26) & ~disc(61, 21)
    image = np.full((61, 61, 3), (0, 0, 255), np.uint8)
    image[mask] = 200, 20, 20
    return cut_out(image, mask)


def test_alpha_is_over_one_half_exactly_on_the_mask() -> None:
    mask = disc()
    mask[2, 2] = True  # a single pixel would blur away
    alpha = soft_alpha(mask)
    np.testing.assert_array_equal(alpha >= 128, mask)
    assert alpha[20, 20] == 255
    rising = np.count_nonzero((alpha > 25) & (alpha < 230))  # from a tenth to nine tenths
    assert 1.0 < rising / (2 * np.pi * 15) < 2.5  # pixels


def test_nothing_of_the_background_shines_through_the_rim() -> None:
    image = np.full((41, 41, 3), (0, 0, 255), np.uint8)
    image[disc()] = 200, 20, 20
    mixed = image.copy()
    mixed[disc() & ~disc(radius=14.2)] = 100, 10, 140  # as a camera mixes the edge
    cut = cut_out(mixed, disc())
    assert cut.shape == (37, 37, 4)  # the disc's 31 and an empty rim
    seen = cut[cut[..., 3] > 0]
    assert seen[:, :3].tolist() == [[200, 20, 20]] * len(seen)
    assert not cut[0].any(where=[False, False, False, True])


@pytest.mark.parametrize("size_hw", [(20, 50), (90, 90)])
def test_another_size_darkens_no_rim(size_hw: tuple[int, int]) -> None:
    scaled = resized(ring_cutout(), size_hw)
    assert scaled.shape == (*size_hw, 4)
    seen = scaled[scaled[..., 3] > 60].astype(int)
    assert np.abs(seen[:, :3] - (200, 20, 20)).max() <= 5


def test_premultiplied() -> None:
    cut = np.array([[[200, 100, 0, 255], [200, 100, 0, 128], [200, 100, 0, 0]]], np.uint8)
    assert premultiplied(cut).tolist() == [[[200, 100, 0, 255], [100, 50, 0, 128], [0, 0, 0, 0]]]


def test_outlines_are_natural_and_cover_more_when_enlarged() -> None:
    areas = set()
    for seed in range(5):
        mask = natural_outline(np.random.default_rng(seed), (60, 90))
        share = mask[3:-3, 3:-3].mean()
        assert 0.5 < share < 0.95  # neither a rectangle nor a thread
        assert not mask[:3].any()
        assert not mask[:, -3:].any()
        assert mask[3:5].any()
        assert mask[:, -5:-3].any()
        areas.add(int(mask.sum()))
        # Star-shaped about the middle of its box: no ray enters it twice.
        rows, columns = np.nonzero(mask)
        for away in (0.3, 0.6, 0.9):
            inner = (
                np.rint(29.5 + (rows - 29.5) * away).astype(int),
                np.rint(44.5 + (columns - 44.5) * away).astype(int),
            )
            assert mask[inner].mean() > 0.99
    assert len(areas) == 5


def test_light_comes_from_above() -> None:
    mask = disc()
    lump = lit(np.full((41, 41, 3), 120, np.uint8), mask, relief=0.8)
    assert lump[7, 20, 0] > lump[33, 20, 0] + 20
    np.testing.assert_array_equal(lump[..., 3] >= 128, mask)


class TestGroup:
    def test_one_is_itself(self) -> None:
        one = ring_cutout()
        assert grouped(one, 1, 1, np.random.default_rng(0)) is one

    def test_a_group_has_no_gaps_and_keeps_the_colours(self) -> None:
        one = ring_cutout()
        group = grouped(one, 2, 3, np.random.default_rng(0))
        cover = group[..., 3] >= 128
        alone = one[..., 3] >= 128
        assert alone.mean() < 0.35
        middle = cover[cover.shape[0] // 4 : -cover.shape[0] // 4, cover.shape[1] // 4 : -cover.shape[1] // 4]
        assert middle.mean() > 0.95
        red = group[cover].astype(int)
        assert np.mean((red[:, 0] > 3 * red[:, 1]) & (red[:, 2] < 60)) > 0.99

    def test_it_follows_from_the_generator(self) -> None:
        groups = [grouped(ring_cutout(), 2, 2, np.random.default_rng(seed)).tobytes() for seed in (1, 1, 2)]
        assert groups[0] == groups[1] != groups[2]


def test_largest_part_has_no_holes() -> None:
    mask = disc() & ~disc(radius=6)
    mask[0:2, 0:2] = True
    np.testing.assert_array_equal(largest_part(mask), disc())
    assert not largest_part(np.zeros((4, 4), bool)).any()
