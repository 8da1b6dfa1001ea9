"""Clips made worse on purpose in exactly one way, measured, and judged by ranges from the good clip's own sweeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from maskscope.picture.course import Course
from maskscope.picture.frame import frame_measures
from maskscope.readiness.conditions import AXES, degraded
from maskscope.readiness.figure import Figure
from maskscope.readiness.rules import plan
from maskscope.transforms.base import Clip, ClipFrame
from maskscope.transforms.families.lights import LowLight

SIDES, MODEL = (96, 128), (192, 256)
SETTINGS = {"keep": 0.8, "played.frames": 60.0, "short.frames": 50.0, "fps": 25.0}
LIMITS = {"resolution": 32.0, "frame_rate": 8.0, "light_down": -3.0, "light_up": 1.5, "compression": 8.0}
"""Where a sweep is taken to have lost the object."""

TEXTURE = cv2.GaussianBlur(
    np.random.default_rng(3).integers(40, 216, (*SIDES, 3)).astype(np.uint8), (0, 0), 1.0
)  # sharp enough that blur has something to take away, soft enough that it is no noise


@dataclass(frozen=True)
class Conveyor:
    """A textured part of 24 px that passes over a textured belt, a pixel a frame."""

    name: str = "conveyor"
    num_frames: int = 30
    step_px: int = 1
    side_px: int = 24
    change: Callable[[NDArray[np.uint8], int], NDArray[np.uint8]] = field(default=lambda image, t: image)
    size: tuple[int, int] = SIDES

    def at(self, index: int) -> ClipFrame:
        image = (TEXTURE // 2 + 30).astype(np.uint8)
        labels = np.zeros(SIDES, np.uint8)
        left = 11 + self.step_px * index % 90  # not where blocks of compression begin
        part = (slice(43, 43 + self.side_px), slice(left, left + self.side_px))
        image[part] = (TEXTURE[:, ::-1][part] // 2 + 90).astype(np.uint8)
        labels[part] = 1
        return ClipFrame(self.change(image, index), labels, labels, None, float(index))


def measured(clip: Clip) -> dict[str, float]:
    """Of a clip, as a readiness run measures it."""
    course, found = Course(), []
    for t in range(clip.num_frames):
        frame = clip.at(t)
        there = frame.visible_hw == 1
        course.add(frame.image_hwc, there)
        if t % 5 == 0:
            found.append(frame_measures(frame.image_hwc, there, MODEL))
    values = {name: median(each[name] for each in found if name in each) for each in found for name in each}
    values["motion.object"] = median(each for each in course.motion() if each is not None)
    flicker = course.flicker()
    assert flicker is not None
    values |= {"flicker.object": flicker, "cuts.frame": float(len(course.cuts()))}
    return values | {"frozen.frame": course.frozen_share(), "baseline.black_frames": course.black_share()}


def ranges() -> dict[str, float]:
    """What the good clip's measures are at the limits."""
    at = {}
    for axis in AXES:
        if axis.name in LIMITS:
            at[axis.name] = measured(degraded(axis, Conveyor(), axis.levels(128, 25.0, 30)[0], LIMITS[axis.name]))
    good = measured(Conveyor())
    return {
        "blur.object.high": at["resolution"]["blur.object"],
        "size_px.object.low": good["size_px.object"] * (LIMITS["resolution"] / 128) ** 2,
        "motion.object.high": at["frame_rate"]["motion.object"],
        "luma.object.low": at["light_down"]["luma.object"],
        "bright_share.object.high": at["light_up"]["bright_share.object"],
        "blockiness.object.high": at["compression"]["blockiness.object"],
        "flicker.object.high": 1.0,
        "noise.object.high": at["light_down"]["noise.object"],
    }


@pytest.fixture(scope="module")
def safe() -> dict[str, float]:
    return ranges()


def advice(values: dict[str, float], safe: dict[str, float], **more: float) -> set[str]:
    known = {"stock.horizon": 60.0, "baseline.j": 0.9, "lookalike.background": 0.2, "prompt.border": 0.0}
    known |= values | safe | {name.replace("__", "."): value for name, value in more.items()}
    figures = {
        name: Figure(name=name, value=value, unit="ratio", bound="at least" if name == "stock.horizon" else "exact")
        for name, value in known.items()
    }
    return {each.rule for each in plan(figures, SETTINGS)} - {"start_short"}


def darker(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return LowLight(-4.0, 60.0, 7).draw(image, 1.0, t)


def soft(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 3.0), np.uint8)


def foreign(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return np.roll(255 - TEXTURE[::-1], t, axis=1).astype(np.uint8) if t >= 15 else image


def bright(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return (image * 2.2).clip(0, 255).astype(np.uint8)


def blinking(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return (image * (0.5 if t % 2 else 1.0)).astype(np.uint8)


def noisy(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(t).normal(0, 20, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def squeezed(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 5])[1], cv2.IMREAD_COLOR))


def off(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return np.zeros_like(image) if t == 12 else image


def stuck(image: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    return Conveyor().at(0).image_hwc if 10 <= t < 15 else image


PLANTED = [
    ("sharpen", {"change": soft}),
    ("more_light", {"change": darker}),
    ("less_light", {"change": bright}),
    ("raise_frame_rate", {"step_px": 10, "num_frames": 8}),
    ("steady_light", {"change": blinking}),
    ("frozen", {"change": stuck}),
    ("less_noise", {"change": noisy}),
    ("less_compression", {"change": squeezed}),
    ("object_tiny", {"side_px": 14}),
]


def test_the_good_clip_gets_no_advice(safe: dict[str, float]) -> None:
    assert advice(measured(Conveyor()), safe) == set()


@pytest.mark.parametrize(("rule", "change"), PLANTED, ids=[rule for rule, _ in PLANTED])
def test_a_clip_worse_in_one_way_gets_exactly_that_advice(
    safe: dict[str, float], rule: str, change: dict[str, object]
) -> None:
    values = measured(replace(Conveyor(), **change))  # type: ignore[arg-type]
    if rule == "object_tiny":  # seen by a model of a quarter of the area
        values["size_tokens.object"] /= 4
    assert advice(values, safe) == {rule}


def test_a_cut_gets_the_advice_for_cuts(safe: dict[str, float]) -> None:
    values = measured(replace(Conveyor(), change=foreign))
    # Behind the cut the object's place shows other things: what is measured there is not the object's.
    good = {name: value for name, value in measured(Conveyor()).items() if name.endswith(".object")}
    assert values["cuts.frame"] == 1
    assert advice(values | good, safe) == {"cuts"}


def test_black_frames_get_the_advice_for_them(safe: dict[str, float]) -> None:
    values = measured(replace(Conveyor(), change=off))
    assert values["baseline.black_frames"] == pytest.approx(1 / 30)
    assert values["cuts.frame"] > 0, "to black and back"
    assert advice(values, safe) == {"black_frames"}


def test_a_small_picture_gets_the_advice_for_resolution(safe: dict[str, float]) -> None:
    values = measured(Conveyor())
    values["size_px.object"] /= 25
    assert advice(values, safe) == {"raise_resolution"}


def test_a_look_alike_and_a_mask_of_background_get_theirs(safe: dict[str, float]) -> None:
    assert advice(measured(Conveyor()), safe, lookalike__background=-0.02) == {"lookalikes"}
    belt = Conveyor().at(0).visible_hw == 0
    border = float(np.concatenate((belt[0], belt[-1], belt[:, 0], belt[:, -1])).mean())
    assert advice(measured(Conveyor()), safe, prompt__border=border) == {"prompt_background"}
