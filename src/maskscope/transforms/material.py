"""Where occluders and foreign footage come from: drawn without any file, or taken from other clips.

Both kinds follow from the generator alone, hold nothing drawn, and can be pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.synthetic.config import SyntheticConfig
from maskscope.data.synthetic.scene import Scene
from maskscope.transforms.base import Clip
from maskscope.transforms.cutouts import cut_out, largest_part, lit, natural_outline, resized
from maskscope.transforms.surfaces import leafy, surface

Bytes = NDArray[np.uint8]

_LANDSCAPE_ROWS_PX: Final = 320  # drawn at most; a larger picture is enlarged from it
_LEAST_ROWS_PX: Final = 64
_BUSHES: Final = 0.25  # share of bushes among made-up cut-outs
_TRIES: Final = 8  # frames looked at for an object that is large enough and whole
_LEAST_PART: Final = 0.9  # of an object, for its largest part to stand for it: else something is in front of it
_LEAST_AREA: Final = 0.004  # of the picture, for an object worth cutting out


@dataclass(frozen=True)
class ProceduralMaterial:
    """Textures, lumps and landscapes drawn from the generator; needs no files."""

    def texture(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> Bytes:
        """(h, w, 3) uint8 RGB: fur, rock, bark, cloth, meadow or leaves."""
        return surface(rng, size_hw)

    def cutout(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> Bytes:
        """(h, w, 4) uint8 RGB and alpha of exactly this size: a lit lump of any surface, or a bush.

        The outline is star-shaped or nearly so, and its edge soft over about two pixels. Sides below 12 pixels are
        drawn at 12 and shrunk.
        """
        drawn_hw = (max(size_hw[0], 12), max(size_hw[1], 12))
        bush = rng.random() < _BUSHES
        drawn = _bush(rng, drawn_hw) if bush else lit(surface(rng, drawn_hw), natural_outline(rng, drawn_hw))
        return drawn if drawn.shape[:2] == tuple(size_hw) else resized(drawn, size_hw)

    def footage(self, rng: np.random.Generator, num_frames: int, size_hw: tuple[int, int]) -> list[Bytes]:
        """`num_frames` frames (h, w, 3) uint8 RGB: a camera pans over a landscape and zooms.

        One landscape is drawn, half again as wide as the picture, and the camera moves over it.
        """
        height, width = size_hw
        rows = int(np.clip(height, _LEAST_ROWS_PX, _LANDSCAPE_ROWS_PX))
        columns = max(round(1.5 * rows * width / height), _LEAST_ROWS_PX)
        config = SyntheticConfig(
            seed=int(rng.integers(2**31)), num_frames=2, height_px=rows, width_px=columns, num_objects=1,
            occlusion="none", blur_samples=1, noise=0.0, shadows=False,
        )  # fmt: skip
        landscape = Scene(config).picture(0, without=(1,))
        zooms = rng.uniform(1.05, 1.45, 2)
        way = rng.uniform(0.3, 0.55) * min(num_frames / 48, 1.0)
        start = rng.uniform(0, 1 - way)
        ends = (start, start + way) if rng.random() < 0.5 else (start + way, start)
        above = rng.uniform(0, 1)
        frames = []
        for index in range(num_frames):
            share = index / max(num_frames - 1, 1)
            ease = share * share * (3 - 2 * share)
            step = rows / height / (zooms[0] + (zooms[1] - zooms[0]) * ease)  # landscape pixels a picture pixel
            x = (ends[0] + (ends[1] - ends[0]) * ease) * (columns - width * step)
            y = above * (rows - height * step)
            matrix = np.array([[step, 0, x + (step - 1) / 2], [0, step, y + (step - 1) / 2]])
            flags = (cv2.INTER_CUBIC if step < 1 else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
            moved = cv2.warpAffine(landscape, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            frames.append(np.asarray(moved, np.uint8))
        return frames


@dataclass(frozen=True)
class ClipMaterial:
    """Textures, cut-outs and footage taken from other clips; drawn ones where those give none.

    Args:
        clips: to take from; read only when asked. The clip that is being transformed should not be among them: see
            `without`.
    """

    clips: Sequence[Clip] = ()

    def without(self, name: str) -> ClipMaterial:
        """This material but for the clip of that name (what a name has behind an @ or # does not count)."""
        source = _source_name(name)
        return ClipMaterial(tuple(clip for clip in self.clips if _source_name(clip.name) != source))

    def texture(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> Bytes:
        """(h, w, 3) uint8 RGB: part of a frame of another clip, of the proportions asked for."""
        if not self.clips:
            return ProceduralMaterial().texture(rng, size_hw)
        clip = self._any_clip(rng)
        image = clip.at(int(rng.integers(clip.num_frames))).image_hwc
        return _window(image, size_hw, rng.uniform(0.5, 1.0), (rng.uniform(), rng.uniform()))

    def cutout(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> Bytes:
        """(h, w, 4) uint8 RGB and alpha: the largest part of an object of another clip, its holes closed.

        It has about the area of the size asked for and keeps its proportions within a sixth. Drawn, where no frame
        that was looked at shows a whole object of some size.
        """
        for _ in range(_TRIES if self.clips else 0):
            clip = self._any_clip(rng)
            frame = clip.at(int(rng.integers(clip.num_frames)))
            labels = np.unique(frame.visible_hw)
            labels = labels[labels > 0]
            if not len(labels):
                continue
            seen = np.asarray(frame.visible_hw == rng.choice(labels))
            mask = largest_part(seen)
            if mask.mean() < _LEAST_AREA or mask.sum() < _LEAST_PART * seen.sum() or _cropped(mask):
                continue
            cut = cut_out(frame.image_hwc, mask)
            stretch = np.array(size_hw) / cut.shape[:2]
            even = float(np.sqrt(stretch.prod()))
            height, width = np.rint(np.clip(stretch, even / 1.08, even * 1.08) * cut.shape[:2]).astype(int)
            return resized(cut, (int(height), int(width)))
        return ProceduralMaterial().cutout(rng, size_hw)

    def footage(self, rng: np.random.Generator, num_frames: int, size_hw: tuple[int, int]) -> list[Bytes]:
        """`num_frames` consecutive frames (h, w, 3) uint8 RGB of another clip, cut to the proportions asked for.

        A clip that is too short is shown forwards and backwards.
        """
        if not self.clips:
            return ProceduralMaterial().footage(rng, num_frames, size_hw)
        clip = self._any_clip(rng)
        first = int(rng.integers(max(clip.num_frames - num_frames, 0) + 1))
        place = (rng.uniform(), rng.uniform())
        turn = max(2 * (clip.num_frames - 1), 1)
        steps = [(first + index) % turn for index in range(num_frames)]
        indices = [min(step, turn - step) if clip.num_frames > 1 else 0 for step in steps]
        return [_window(clip.at(index).image_hwc, size_hw, 1.0, place) for index in indices]

    def _any_clip(self, rng: np.random.Generator) -> Clip:
        return self.clips[int(rng.integers(len(self.clips)))]


def _window(image: Bytes, size_hw: tuple[int, int], part: float, place: tuple[float, float]) -> Bytes:
    """A window of the wanted proportions and size: `part` of the largest there is, `place` in the room that leaves."""
    height, width = image.shape[:2]
    scale = part * min(height / size_hw[0], width / size_hw[1])
    rows, columns = max(round(size_hw[0] * scale), 1), max(round(size_hw[1] * scale), 1)
    top, left = round(place[0] * (height - rows)), round(place[1] * (width - columns))
    window = image[top : top + rows, left : left + columns]
    if window.shape[:2] == size_hw:
        return np.ascontiguousarray(window)
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(window, size_hw[::-1], interpolation=method), np.uint8)


def _cropped(mask: NDArray[np.bool_]) -> bool:
    """Whether the picture's border cuts through it: the cut would show as a straight edge."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _bush(rng: np.random.Generator, size_hw: tuple[int, int]) -> Bytes:
    """Leafy puffs all over an ellipse, without gaps, as a cut-out."""
    height, width = size_hw
    puff = 0.15 * min(size_hw)
    count = int(np.clip(5 * height * width / (16 * puff**2), 16, 90))
    turn, out = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.random(count))
    # Some on the ellipse itself, so that the bush has no thin side.
    ring = max(count // 3, 9)
    turn[:ring], out[:ring] = np.linspace(0, 2 * np.pi, ring, endpoint=False) + rng.normal(0, 0.1, ring), 1.0
    x = width / 2 + out * np.cos(turn) * (width / 2 - 1.25 * puff)
    y = height / 2 + out * np.sin(turn) * (height / 2 - 1.25 * puff)
    puffs = np.stack([x, y, rng.uniform(0.75, 1.1, count) * puff], axis=-1)
    leaves, cover = leafy(rng, puffs[np.argsort(-y)], size_hw)
    mask = largest_part(np.asarray(cover > 0.5))
    mask[:3] = mask[-3:] = mask[:, :3] = mask[:, -3:] = False
    shown = np.where((cover > 0.5)[..., None], leaves, np.array([26, 34, 16], np.uint8))
    return lit(shown.astype(np.uint8), mask, relief=0.8)


def _source_name(name: str) -> str:
    return name.split("@")[0].split("#")[0]
