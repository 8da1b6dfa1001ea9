"""Clips made worse on purpose in exactly one way, through the whole of a readiness run: each gets exactly its advice.

The model is a stand-in that looks at the picture and fails for known reasons alone (`seeing_model`); measures of the
picture, sweeps, endurance, costs, rules and the plan are the real ones. All clips but one are short, and are told so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.readiness.budget import Budget
from maskscope.readiness.result import ReadinessResult
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.readiness import study
from maskscope.studies.readiness.study import ReadinessOptions, assess_readiness
from maskscope.tracking.prompts import Prompt
from seeing_model import SIDES, LanesModel, SeeingModel

Image = NDArray[np.uint8]
FPS = 10.0
SMALL = Budget(
    window_frames=8, bisections=3, play_frames=40, lead_frames=6, return_frames=3, lengths_frames=(1, 3),
    occlusion_moments=1,
)  # fmt: skip
STRIPES = cv2.GaussianBlur(np.random.default_rng(5).normal(0, 1, (2, 40)), (0, 0), 1.3, sigmaY=1e-3)
STRIPES /= np.abs(STRIPES).max(1, keepdims=True)
TEXTURE = 1 + 0.22 * (STRIPES[0][:, None] + STRIPES[1][None])
"""Of rows and of columns: what blurs along rows leaves the first alone."""

BELT = cv2.GaussianBlur(np.random.default_rng(6).integers(60, 110, SIDES).astype(np.float32), (0, 0), 1.5)


Picture = tuple[Image, NDArray[np.uint8]]


def drawn(t: int, side_px: int = 36) -> Picture:
    """Picture and labels of a frame: a red textured part passes over a belt, and slowly turns its bluer side to us."""
    image, labels = _drawn(t, side_px)
    return image.copy(), labels.copy()


@lru_cache(maxsize=256)
def _drawn(t: int, side_px: int) -> Picture:
    image, labels = np.repeat(BELT[..., None], 3, 2) * (0.9, 1.0, 0.9), np.zeros(SIDES, np.uint8)
    part = (slice(28, 28 + side_px), slice(8 + t, 8 + t + side_px))
    image[part] = TEXTURE[:side_px, :side_px, None] * (165, 60, 40 + 0.6 * t)
    labels[part] = 1
    noise = np.random.default_rng(t + 8).normal(0, 0.6, image.shape)  # or frames without the part would be frozen ones
    return (image + noise).round().clip(0, 255).astype(np.uint8), labels


def small(t: int) -> Picture:
    """From a camera of fewer pixels."""
    image, labels = drawn(t)
    size = (SIDES[1] // 2, SIDES[0] // 2)
    shares = cv2.resize(labels.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), (shares > 0.5).astype(np.uint8)


def long_exposure(t: int) -> Picture:
    """Exposed for three frame intervals."""
    images = [drawn(k)[0].astype(np.float64) for k in range(t - 1, t + 2)]
    return np.mean(images, 0).round().astype(np.uint8), drawn(t)[1]


def twin(t: int) -> Picture:
    """Beside something that looks as the part did at first."""
    image, labels = drawn(t)
    image[28:64, 112:148] = (165, 60, 40)
    return image, labels


def behind(t: int) -> Picture:
    """Hidden for ten frames, longer than the stock memory reaches back."""
    return drawn(t, 0) if 27 <= t < 37 else drawn(t)


def glare(t: int) -> Picture:
    """In view, but in a light that it is not recognised in."""
    image, labels = drawn(t)
    if 27 <= t < 30:
        image[labels == 1] = (60, 70, 170)
    return image, labels


def reddish(t: int) -> Picture:
    """Over a spot of rust, which is taken for a bit of the part while that is hidden."""
    image, labels = drawn(t)
    image[4:24, 124:144] = (110, 80, 70)
    return image, labels


def two_coloured(t: int) -> Picture:
    """A third of the part is in a colour that the model knows nothing of."""
    image, labels = drawn(t)
    columns = np.nonzero(labels.any(0))[0][24:]
    image[28:64, columns] = (50, 80, 150)
    return image, labels


def lanes(t: int) -> Picture:
    """Eight small parts, each in its lane, to and fro."""
    image, labels = drawn(t, 0)
    left = 8 + abs((t + 66) % 132 - 66)
    for number in range(8):
        part = (slice(12 * number, 12 * number + 11), slice(left, left + 14))
        image[part] = TEXTURE[10:21, 10:24, None] * (165, 60, 40)
        labels[part] = number + 1
    return image, labels


@dataclass(frozen=True, eq=False)
class Film:
    """What is seen, with its masks."""

    see: Callable[[int], Picture] = drawn
    num_frames: int = 40
    name: str = "belt"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.see(0)[1].shape
        return height, width

    def frame(self, index: int) -> Image:
        return self.see(index)[0]

    def masks(self, index: int) -> NDArray[np.uint8]:
        return self.see(index)[1]


@pytest.fixture(autouse=True)
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tested elsewhere, and takes a second."""
    monkeypatch.setattr(study, "write_readiness_page", lambda *_: None)


def assessed(film: Film, folder: Path, budget: Budget = SMALL, model: SeeingModel | None = None) -> ReadinessResult:
    """The whole run."""
    clip = LookedAt(film.name, film.num_frames, film.size, FPS, 0, film.num_frames, True, film)
    first, asked = film.masks(0), ReadinessOptions(budget=budget)
    prompts = [Prompt(int(number), mask=first == number) for number in np.unique(first) if number]
    found = assess_readiness(clip, prompts, folder, asked, model=model or SeeingModel())  # type: ignore[arg-type]
    assert found.result is not None
    return found.result


def advised(result: ReadinessResult) -> set[str]:
    return {each.rule for each in result.plan}


SHORT = {"start_short", "longer_clip"}
"""What the good clip gets: four seconds cannot tell rare misses from none."""

PLANTED = [
    (small, {"raise_resolution"}),
    (long_exposure, {"shorter_shutter"}),
    (twin, {"lookalikes"}),
    (behind, {"use_composite"}),
    (glare, {"prompt_again", "long_watch"}),
    (reddish, {"threshold"}),
    (two_coloured, {"fine_tune"}),
]
"""`prompt_again` is for short tasks what `long_watch` is for long ones: both follow from tracks that do not last."""


def test_the_good_clip_may_start_and_is_short(tmp_path: Path) -> None:
    assert advised(assessed(Film(), tmp_path / "out")) == SHORT


@pytest.mark.parametrize(("see", "rules"), PLANTED, ids=[see.__name__ for see, _ in PLANTED])
def test_a_clip_worse_in_one_way_gets_exactly_that_advice(
    tmp_path: Path, see: Callable[[int], Picture], rules: set[str]
) -> None:
    # Intervals of the threshold need several occlusions to draw from.
    budget = replace(SMALL, occlusion_moments=4, window_frames=6, bisections=2) if see is reddish else SMALL
    result = assessed(Film(see), tmp_path / "out", budget)
    waits = {"start_short"} if "fine_tune" in rules else set()
    assert advised(result) == (SHORT | rules) - waits
    for advice in result.plan:
        assert set(advice.cites) <= set(result.figures())


def test_a_film_of_many_parts_is_long_enough(tmp_path: Path) -> None:
    """Three hundred stretches of ten frames tell a miss in a hundred from none; eight parts have them eight times."""
    few = replace(SMALL, window_frames=4, bisections=2, play_frames=8)
    result = assessed(Film(lanes, 170), tmp_path / "out", few, LanesModel())
    assert advised(result) == {"start_short"}
