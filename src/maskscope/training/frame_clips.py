"""Clips from a single labelled picture: what it shows, taken apart and moved.

The object is cut out, the hole behind it filled in, and both go their own ways; or the whole picture bends and moves.
So a model learns to tell this object from just what surrounds it. Source: Khoreva et al., "Lucid Data Dreaming for
Video Object Segmentation", arXiv 1703.09554; Caelles et al., arXiv 1611.05198, for learning from the first frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from maskscope.data.label_maps import object_labels
from maskscope.errors import DatasetError
from maskscope.training.appearance import AppearanceRange, change_appearance
from maskscope.training.clips import Clip
from maskscope.training.motion import (
    CAMERA,
    OBJECT,
    Matrices,
    MotionRange,
    deform,
    placement,
    random_motion,
    translation,
)
from maskscope.training.scene import Backdrop, Masks, Sprite, render
from maskscope.training.sprites import cut_out, mask_box
from maskscope.training.store import Pixels

APART: Final = 0.6
"""Share of clips whose object moves apart from what is behind it."""

AS_IT_IS: Final = 0.5
"""Share of clips whose first frame is the picture itself, for that is what memory will hold."""

LEAST_SEEN: Final = 0.25
"""Of the object's own share of the picture, so much is seen of it in a clip's first frame."""

WHOLE: Final = MotionRange(shift=0.05, log_scale=0.05, turn=0.05, shear=0.02, perspective=0.02)
"""Motion of a picture that bends and moves as one."""

APPEARANCE: Final = AppearanceRange(colour=0.3, grey=0.0, light=0.3, blur=0.2, noise=0.1, compression=0.1)
"""Mild: the camera stays the same one."""

_OVERSIZE = 1.03  # a picture that moves a little still fills the frame
_DRAWS = 50
_FILLED_PX = 5.0  # reach of the filling; wider ones take long and look alike


@dataclass(frozen=True)
class FrameClips:
    """Clip number `index` of a stream that depends on nothing but picture and seed; see `ClipSource`.

    Attributes:
        image: (h, w, 3) RGB.
        labels: (h, w), objects by number, 0 is background. Each clip follows one of them; the others stay in the
            picture behind it.
        seed: of everything random.
    """

    image: Pixels
    labels: Pixels
    seed: int = 0

    def sample(self, index: int, n_frames: int, size_hw: tuple[int, int]) -> Clip:
        """Draw one clip; draws again while too little of the object is in its first frame.

        Raises:
            DatasetError: there is no object.
        """
        rng = np.random.default_rng([self.seed, index])
        if not self._objects:
            raise DatasetError("the labelled frame shows no object", "label one")
        for _ in range(_DRAWS):
            label = self._objects[int(rng.integers(len(self._objects)))]
            mask = (self.labels == label).astype(np.uint8) * 255
            apart = rng.random() < APART
            draw = self._apart if apart else self._whole
            frames, masks = draw(rng, label, mask, n_frames, size_hw)
            if masks[0].mean() >= LEAST_SEEN * (mask > 0).mean():
                break
        if rng.random() < AS_IT_IS or not masks[0].any():
            size_wh = size_hw[1], size_hw[0]
            frames[0] = cv2.resize(self.image, size_wh, interpolation=cv2.INTER_AREA)
            masks[0] = cv2.resize(mask, size_wh, interpolation=cv2.INTER_NEAREST_EXACT) > 0
        change_appearance(rng, frames, APPEARANCE)
        return Clip(frames, masks, "apart" if apart else "whole")

    @cached_property
    def _objects(self) -> tuple[int, ...]:
        return object_labels(self.labels)

    @cached_property
    def _without(self) -> dict[int, Pixels]:
        """The picture with an object's place filled in from around it."""
        reach = 2 * (max(self.labels.shape) // 160) + 5  # the outline of a mask is never exact
        filled = {}
        for label in self._objects:
            hole = cv2.dilate((self.labels == label).astype(np.uint8), np.ones((reach, reach), np.uint8))
            filled[label] = np.asarray(cv2.inpaint(self.image, hole, _FILLED_PX, cv2.INPAINT_TELEA), np.uint8)
        return filled

    def _apart(
        self, rng: np.random.Generator, label: int, mask: Pixels, n: int, size_hw: tuple[int, int]
    ) -> tuple[Pixels, Masks]:
        """The object moves and bends over what is behind it, which moves with the camera."""
        box = mask_box(mask)
        assert box is not None, "labels that were counted"
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        pictures = [cut_out(self.image, mask, box)] * n
        if rng.random() < 0.8:
            pictures = deform(rng, (pictures,), 0.02)[0]
        camera = self._view(rng, n, size_hw, CAMERA)
        shape = placement(float(np.exp(rng.normal(0, 0.15))), flip=bool(rng.random() < 0.3))
        away = rng.normal(0, 0.5, 2) * (width, height) if rng.random() < 0.5 else np.zeros(2)
        at = translation((left + right) / 2 + away[0], (top + bottom) / 2 + away[1])
        moves = at @ random_motion(rng, n, (width, height), OBJECT) @ shape @ translation(-width / 2, -height / 2)
        target = Sprite(pictures, camera @ moves, np.ones(n, np.bool_), is_target=True)
        return render(Backdrop([self._without[label]] * n, None, camera), [target], size_hw)

    def _whole(
        self, rng: np.random.Generator, _label: int, mask: Pixels, n: int, size_hw: tuple[int, int]
    ) -> tuple[Pixels, Masks]:
        """Everything in the picture moves together."""
        images, masks = [self.image] * n, [mask] * n
        if rng.random() < 0.7:
            images, masks = deform(rng, (images, masks))
        view = self._view(rng, n, size_hw, WHOLE, flip=bool(rng.random() < 0.3))
        return render(Backdrop(images, masks, view), [], size_hw)

    def _view(
        self, rng: np.random.Generator, n: int, size_hw: tuple[int, int], motion: MotionRange, flip: bool = False
    ) -> Matrices:
        """(n, 3, 3) from pixels of the picture to those of frames; at times from a little nearer."""
        h, w = size_hw
        zoom = float(rng.uniform(1.0, 1.3)) if rng.random() < 0.5 else 1.0
        fit = np.diag([w / self.image.shape[1], h / self.image.shape[0], 1.0])
        moves = random_motion(rng, n, (w, h), motion) @ placement(_OVERSIZE * zoom, flip=flip)
        return np.asarray(translation(w / 2, h / 2) @ moves @ translation(-w / 2, -h / 2) @ fit, np.float64)
