"""Cut-outs: pictures of one thing with soft edges. How they come out of a frame, out of a curve, and change size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from maskscope.data.synthetic.textures import line_noise

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_EDGE_SIGMA_PX = 0.7  # of the blur that softens an outline: alpha rises over about two pixels
_RIM_PX = 3  # empty rows and columns around every cut-out, so that none ends in a straight line
GROUP_STEP = (0.28, 0.38)
"""Distance of rows and of columns in a group, over the height and the width of one thing."""

_SUN = (-0.45, -0.62, 0.64)  # direction to the light, x right, y down, z to the viewer


def soft_alpha(mask: Mask) -> Bytes:
    """(h, w) uint8 coverage of a mask whose edge rises over about two pixels; 128 and more where the mask is."""
    alpha = cv2.GaussianBlur(mask.astype(np.uint8) * np.uint8(255), (0, 0), _EDGE_SIGMA_PX)
    # Thin parts would fade below one half: what the mask covers stays covered.
    return np.asarray(np.where(mask, np.maximum(alpha, 128), np.minimum(alpha, 127)), np.uint8)


def cut_out(image_hwc: Bytes, mask_hw: Mask) -> Bytes:
    """What a mask shows of a picture.

    Args:
        image_hwc: (h, w, 3) uint8 RGB.
        mask_hw: (h, w) bool, not empty.

    Returns:
        (h', w', 4) uint8 RGB and alpha: the mask's box and a transparent rim. Colours go on beyond the edge, so that
        nothing of the old background shines through it.
    """
    box = _box(mask_hw)
    mask = np.pad(mask_hw[box], _RIM_PX)
    image = np.pad(image_hwc[box], ((_RIM_PX, _RIM_PX), (_RIM_PX, _RIM_PX), (0, 0)))
    return _with_alpha(_continued(image, _core(mask)), mask)


def grouped(cutout: Bytes, rows: int, columns: int, rng: np.random.Generator) -> Bytes:
    """A close group of one thing, (h, w, 4) uint8 RGB and alpha: every other one mirrored, the front ones lowest.

    A thing of thin limbs hides little of what is behind it; a group of such things hides more and still looks like it.

    Args:
        cutout: (h, w, 4) uint8, the thing.
        rows: one behind the other, 1 or more.
        columns: side by side, 1 or more.
        rng: of sizes, places and brightness.
    """
    if rows * columns == 1:
        return cutout
    height, width = cutout.shape[:2]
    step = np.array(GROUP_STEP) * (height, width)
    size = np.ceil(np.array([height, width]) * 1.12 + step * (rows - 1, columns - 1)).astype(int)
    group = np.zeros((size[0], size[1], 4), np.float32)
    for row in range(rows):
        for column in rng.permutation(columns):
            one = resized(cutout, tuple(np.rint(rng.uniform(0.9, 1.0) * np.array([height, width])).astype(int)))
            one = one[:, ::-1] if (row + column) % 2 else one
            shift = step * (row, column) + rng.uniform(0, 0.1, 2) * (height, width)
            top, left = np.rint(shift).astype(int)
            cover = one[..., 3:].astype(np.float32) / 255
            part = group[top : top + one.shape[0], left : left + one.shape[1]]
            part *= 1 - cover
            part[..., :3] += np.clip(one[..., :3] * np.float32(rng.uniform(0.9, 1.08)), 0, 255) * cover
            part[..., 3:] += 255 * cover
    group[..., :3] /= np.maximum(group[..., 3:] / 255, 1e-3)
    return _without_gaps(np.asarray(np.rint(np.clip(group, 0, 255)), np.uint8), 0.08 * min(height, width))


def _without_gaps(group: Bytes, radius_px: float) -> Bytes:
    """Gaps between the things of a group, up to twice the radius wide, in the shade: as if more stood behind."""
    margin = int(np.ceil(radius_px)) + _RIM_PX
    full = np.pad(group, ((margin, margin), (margin, margin), (0, 0)))
    mask = np.asarray(full[..., 3] > 127)
    near = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= radius_px
    inside = cv2.distanceTransform(np.pad(near, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1] > radius_px
    solid = _filled(np.asarray(inside | mask))
    shade = cv2.blur(_continued(np.ascontiguousarray(full[..., :3]), mask), (5, 5)) * np.float32(0.4)
    cover = full[..., 3:].astype(np.float32) / 255
    colours = np.rint(full[..., :3] * cover + shade * (1 - cover)).astype(np.uint8)
    outer = np.where(solid, 255, 0).astype(np.uint8)
    alpha = np.maximum(full[..., 3], cv2.GaussianBlur(outer, (0, 0), _EDGE_SIGMA_PX))
    # The soft rim keeps the colours of the things: shade there would draw a dark line around the group.
    rim = ~np.asarray(solid)
    colours[rim] = full[..., :3][rim]
    return np.dstack([colours, np.where(solid, np.maximum(alpha, 128), full[..., 3])])


def resized(cutout: Bytes, size_hw: tuple[int, int]) -> Bytes:
    """The cut-out at another size, (h, w, 4) uint8; colours count by their coverage, so no rim turns dark."""
    height, width = max(size_hw[0], 1), max(size_hw[1], 1)
    shrinks = height < cutout.shape[0] or width < cutout.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    alpha = cutout[..., 3].astype(np.float32)
    weighted = np.dstack([cutout[..., :3] * (alpha / 255)[..., None], alpha])
    scaled = cv2.resize(weighted, (width, height), interpolation=method)
    cover = np.clip(scaled[..., 3:], 0, 255)
    colour = scaled[..., :3] / np.maximum(cover / 255, 1e-3)
    return np.asarray(np.rint(np.clip(np.dstack([colour, cover]), 0, 255)), np.uint8)


def premultiplied(cutout: Bytes) -> Bytes:
    """RGB times alpha, and alpha: what can be drawn at any place by interpolation alone."""
    alpha = cutout[..., 3:].astype(np.uint16)
    return np.dstack([((cutout[..., :3] * alpha + 127) // 255).astype(np.uint8), cutout[..., 3:]])


def natural_outline(rng: np.random.Generator, size_hw: tuple[int, int]) -> Mask:
    """(h, w) bool: a lump such as a boulder, a bag or a back; reaches all four sides of the size but for a rim.

    It is star-shaped about its middle: enlarged, it covers all that it covered before.
    """
    height, width = size_hw
    turns = 256
    angle = np.arange(turns) * (2 * np.pi / turns)
    power = rng.uniform(2.2, 3.4)  # between an ellipse and a box with round corners
    cosine, sine = np.cos(angle), np.sin(angle)
    radius = (np.abs(cosine) ** power + np.abs(sine) ** power) ** (-1 / power)
    bumps = line_noise(rng, turns, longest_px=turns / 2, shortest_px=turns / 7, slope=1.0)
    ragged = line_noise(rng, turns, longest_px=turns / 8, shortest_px=turns / 60, slope=0.8)
    radius = radius * np.exp(0.09 * bumps + rng.uniform(0.005, 0.025) * ragged)
    points = np.stack([radius * cosine, radius * sine], axis=-1)
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([max(width - 2 * _RIM_PX, 1), max(height - 2 * _RIM_PX, 1)])
    placed = (points - low) / (high - low) * (room - 1) + _RIM_PX
    mask = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(mask, [np.rint(placed * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return np.asarray(mask, bool)


def lit(surface_hwc: Bytes, mask_hw: Mask, relief: float = 0.35) -> Bytes:
    """A lump of this outline and surface as a cut-out, round at its edge and lit from above.

    Args:
        surface_hwc: (h, w, 3) uint8 RGB.
        mask_hw: (h, w) bool.
        relief: width of the round edge over the lump's half width, above 0.
    """
    inside = cv2.distanceTransform(mask_hw.astype(np.uint8), cv2.DIST_L2, 5)
    reach = max(relief * float(inside.max()), 1.0)
    rise = np.clip(inside / reach, 0, 1)
    height = cv2.GaussianBlur(reach * np.sqrt(rise * (2 - rise)), (0, 0), max(0.12 * reach, 0.8))
    slope_x, slope_y = (cv2.Sobel(height, cv2.CV_32F, dx, 1 - dx, scale=0.125) for dx in (1, 0))
    facing = (-slope_x * _SUN[0] - slope_y * _SUN[1] + _SUN[2]) / np.sqrt(slope_x**2 + slope_y**2 + 1)
    light = 0.42 + 0.9 * np.clip(facing, 0, 1)
    shaded = np.rint(np.clip(surface_hwc * light[..., None], 0, 255)).astype(np.uint8)
    return _with_alpha(shaded, mask_hw)


def largest_part(mask_hw: Mask) -> Mask:
    """The largest connected part of a mask with its holes closed, (h, w) bool."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros_like(mask_hw)
    return _filled(np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))))


def _with_alpha(rgb: ArrayLike, mask: Mask) -> Bytes:
    return np.dstack([np.asarray(rgb, np.uint8), soft_alpha(mask)])


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _core(mask: Mask) -> Mask:
    """The mask without its edge, whose pixels are half background; all of it where nothing else is left."""
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return core if core.any() else mask


def _continued(image: Bytes, mask: Mask) -> Bytes:
    """The picture with every pixel outside the mask in the colour of the mask's nearest pixel."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~mask).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    colours[nearest[mask]] = image[mask]
    return np.asarray(colours[nearest])


def _filled(mask: Mask) -> Mask:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    full = mask.astype(np.uint8)
    cv2.drawContours(full, outlines, -1, 1, -1)
    return np.asarray(full, bool)
