"""One training clip from a seed: real video, a still set in motion, or cut-outs pasted on something else.

Every clip follows one target; other things (look-alikes, occluders) may cross it, and it may be absent for some frames.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maskscope.errors import DatasetError
from maskscope.training.appearance import AppearanceRange, change_appearance
from maskscope.training.corpus import Corpus
from maskscope.training.families import material_of, under_family
from maskscope.training.hiding import cut_away, pass_before
from maskscope.training.motion import (
    CAMERA,
    OBJECT,
    MotionRange,
    deform,
    placement,
    random_motion,
    translation,
    window_over,
)
from maskscope.training.scene import Backdrop, Masks, Sprite, render
from maskscope.training.sprites import mask_box, random_sprite
from maskscope.training.store import ArrayStore, Pixels


@dataclass(frozen=True)
class ClipConfig:
    """What clips are made of.

    Args:
        video, still, paste, drawn, crowd: weights of the kinds; `drawn` are scenes with ground truth by construction,
            see `maskscope.training.drawn`; a `crowd` is several pasted things of one size, many of them alike, so that
            only the prompt tells which is meant.
        max_stride: largest gap between sampled frames of real video.
        intruder: probability that something is pasted into real video or a still.
        absence: probability that a pasted target is hidden for some frames.
        hiding: probability that something passes before the target of another clip, or that the film cuts away.
        returns: probability that a hidden target is back before the clip ends; without, it is left to chance.
        reveal: probability that real video or a still is first seen through a window that cuts the target, and then
            whole, or the other way round. What belongs together then has to be known, not matched: new parts of an
            object that turns or comes nearer are its own.
        families: probability that a family of the stress bench transforms the clip, see `maskscope.training.families`.
        min_target: smallest visible part of the target in frame 0, as a fraction of the frame.
        elastic: probability that a still or a pasted target bends as it moves.
        appearance: colour, light, blur, noise and compression.
    """

    video: float = 0.45
    still: float = 0.25
    paste: float = 0.3
    drawn: float = 0.0
    crowd: float = 0.0
    max_stride: int = 5
    intruder: float = 0.3
    absence: float = 0.35
    hiding: float = 0.0
    returns: float = 0.0
    reveal: float = 0.0
    families: float = 0.0
    min_target: float = 0.002
    elastic: float = 0.7
    appearance: AppearanceRange = field(default_factory=AppearanceRange)


@dataclass(frozen=True)
class Clip:
    """Frames (t, h, w, 3) uint8 RGB, the target's visible mask (t, h, w), and the kind of clip."""

    frames: Pixels
    masks: Masks
    kind: str


@dataclass(frozen=True)
class ClipSampler:
    """Clip number `index` of a stream that depends on nothing but the seed."""

    corpus: Corpus
    config: ClipConfig = field(default_factory=ClipConfig)
    seed: int = 0

    def sample(self, index: int, n_frames: int, size_hw: tuple[int, int]) -> Clip:
        """Draw one clip; draws again while the target is too small in the first frame.

        Raises:
            DatasetError: fifty draws in a row showed no target.
        """
        rng = np.random.default_rng([self.seed, index])
        for _ in range(50):
            kind = self._kind(rng)
            before = copy.deepcopy(rng)
            frames, masks = getattr(self, f"_{kind}")(rng, n_frames, size_hw)
            if self.config.min_target <= masks[0].mean() <= 0.7:
                own = self._own_video(before, kind)
                if self.config.hiding and kind != "paste" and n_frames > 1 and rng.random() < self.config.hiding:
                    self._hide(rng, frames, masks, own)
                if self.config.families and n_frames > 1 and rng.random() < self.config.families:
                    others = [name for name in self.corpus.videos if name != own]
                    frames, masks = under_family(rng, frames, masks, material_of(self.corpus.store, others))
                change_appearance(rng, frames, self.config.appearance)
                return Clip(frames, masks, kind)
        least = 100 * self.config.min_target
        raise DatasetError(
            f"fifty draws showed no object of {least:g} % of the frame or more", "look at the masks; are they empty?"
        )

    def _kind(self, rng: np.random.Generator) -> str:
        weights = {
            "video": self.config.video if self.corpus.videos else 0.0,
            "still": self.config.still if self.corpus.objects or self.corpus.regions or self.corpus.videos else 0.0,
            "paste": self.config.paste if self._has_sprites else 0.0,
            "drawn": self.config.drawn if self.corpus.scenes is not None else 0.0,
            "crowd": self.config.crowd if self._has_sprites else 0.0,
        }
        total = sum(weights.values())
        return str(rng.choice(list(weights), p=[w / total for w in weights.values()]))

    def _own_video(self, rng: np.random.Generator, kind: str) -> str:
        """The video that a clip of this kind shows, drawn again from where it began; empty where it shows none.

        It is no foreign footage of itself: the target would be there, and its mask not.
        """
        still = kind == "still" and not (self.corpus.objects or self.corpus.regions)
        return self._video_name(rng) if kind == "video" or still else ""

    def _video(self, rng: np.random.Generator, n: int, size_hw: tuple[int, int]) -> tuple[Pixels, Masks]:
        images, labels = self._video_frames(rng, n)
        masks = _pick_label(rng, labels, self._least)
        if masks is None:
            return _nothing(n, size_hw)
        motion = CAMERA if rng.random() < 0.3 else None
        backdrop = Backdrop(images, masks, self._view(rng, images[0], masks[0], n, size_hw, motion))
        return render(backdrop, self._intruders(rng, n, size_hw, self.config.intruder), size_hw)

    def _drawn(self, rng: np.random.Generator, n: int, size_hw: tuple[int, int]) -> tuple[Pixels, Masks]:
        """A stretch of a drawn scene; the target is any of its objects."""
        assert self.corpus.scenes is not None
        names = [name.removesuffix("/frames") for name in self.corpus.scenes.names("") if name.endswith("/frames")]
        images, labels = self._stretch(rng, n, self.corpus.scenes, names[int(rng.integers(len(names)))])
        masks = _pick_label(rng, labels, self._least)
        if masks is None:
            return _nothing(n, size_hw)
        backdrop = Backdrop(images, masks, _crop(rng, images[0], masks[0], n, size_hw, None))
        return render(backdrop, self._intruders(rng, n, size_hw, self.config.intruder / 2), size_hw)

    def _hide(self, rng: np.random.Generator, frames: Pixels, masks: Masks, own: str) -> None:
        """Take the target out of sight on some frames after the first, in place; `own` is the video they are of."""
        begin, end = self._absence(rng, len(frames))
        photos = self.corpus.backgrounds or tuple(f"{o}/image" for o in self.corpus.objects)
        if rng.random() < 0.4 or not photos:
            cut_away(frames, masks, self._foreign(rng, end - begin, photos, own), begin, min(end, len(frames)))
        else:
            photo, near = self.corpus.store[_choose(rng, photos)], int(rng.integers(1, 5))
            pass_before(rng, frames, masks, photo, begin, min(end, len(frames)), near)

    def _absence(self, rng: np.random.Generator, n: int) -> tuple[int, int]:
        """First frame without the target and the frame of its return, which is `n` or more if there is none."""
        if n > 2 and self.config.returns and rng.random() < self.config.returns:
            end = int(rng.integers(2, n))
            return 1 + int((end - 1) * rng.random() ** 2), end  # long absences as often as short ones
        begin = int(rng.integers(1, n))
        return begin, begin + int(rng.integers(1, n))

    def _foreign(self, rng: np.random.Generator, n: int, photos: tuple[str, ...], own: str) -> list[Pixels]:
        """Footage that does not show the target: another video than its own, a photo, or black where there is none."""
        others = any(name != own for name in self.corpus.videos)
        if others and (rng.random() < 0.6 or not photos):
            while (name := self._video_name(rng)) == own:
                pass
            return self._stretch(rng, n, self.corpus.store, name)[0]
        return [self.corpus.store[_choose(rng, photos)]] if photos else [np.zeros((2, 2, 3), np.uint8)]

    def _still(self, rng: np.random.Generator, n: int, size_hw: tuple[int, int]) -> tuple[Pixels, Masks]:
        """The whole picture moves; the target is its object or any part of it. Without photos, a frame of a video."""
        image, labels = self._labelled_still(rng)
        masks = _pick_label(rng, [labels] * n, self._least)
        if masks is None:
            return _nothing(n, size_hw)
        images = [image] * n
        if rng.random() < self.config.elastic:
            images, masks = deform(rng, (images, masks))
        motion = MotionRange(0.05, 0.05, 0.05, 0.02, 0.02)
        backdrop = Backdrop(images, masks, self._view(rng, image, masks[0], n, size_hw, motion))
        return render(backdrop, self._intruders(rng, n, size_hw, self.config.intruder), size_hw)

    def _view(
        self,
        rng: np.random.Generator,
        image: Pixels,
        mask: Pixels,
        n: int,
        size_hw: tuple[int, int],
        motion: MotionRange | None,
    ) -> NDArray[np.float64]:
        """As `_crop`; at times the target shows in part first."""
        place = _crop(rng, image, mask, n, size_hw, motion)
        if n > 1 and self.config.reveal and rng.random() < self.config.reveal:
            return window_over(rng, mask, place[0], n, size_hw) @ place
        return place

    def _labelled_still(self, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        """(h, w, 3) and its label map (h, w)."""
        if not (self.corpus.objects or self.corpus.regions):
            images, maps = self._video_frames(rng, 1)
            return images[0], maps[0]
        names = self.corpus.regions if rng.random() < 0.35 and self.corpus.regions else self.corpus.objects
        name = _choose(rng, names or self.corpus.regions)
        image, labels = self.corpus.store[f"{name}/image"], self.corpus.store[f"{name}/mask"]
        return image, (labels > 0).astype(np.uint8) if names is self.corpus.objects and names else labels

    @property
    def _has_sprites(self) -> bool:
        return bool(self.corpus.objects or self.corpus.cutouts or self.corpus.videos)

    @property
    def _least(self) -> float:
        """Smallest share of its picture that a label may take; a crop shows it larger."""
        return self.config.min_target / 4

    def _paste(self, rng: np.random.Generator, n: int, size_hw: tuple[int, int]) -> tuple[Pixels, Masks]:
        """Cut-outs on another picture or video: the target, perhaps its twin, perhaps others before or behind it."""
        backdrop = self._scenery(rng, n, size_hw)
        pictures = random_sprite(rng, self.corpus, n)
        if backdrop is None or not pictures:
            return _nothing(n, size_hw)
        if rng.random() < self.config.elastic:
            pictures = deform(rng, (pictures,))[0]
        shown = np.ones(n, np.bool_)
        hidden_by = rng.choice(["", "gone", "cover"], p=[1 - self.config.absence, *[self.config.absence / 2] * 2])
        gap = np.zeros(n, np.bool_)
        if hidden_by and n > 1:
            gap[slice(*self._absence(rng, n))] = True
        if hidden_by == "gone":
            shown &= ~gap
        target = _place(rng, pictures, n, size_hw, shown, is_target=True)
        layers = [target]
        if rng.random() < 0.3:
            twin = _place(rng, pictures[::-1], n, size_hw, np.ones(n, np.bool_), size=_size_of(target))
            layers.insert(int(rng.integers(2)), twin)
        for other in self._intruders(rng, n, size_hw, 0.5):
            layers.insert(int(rng.integers(len(layers) + 1)), other)
        if hidden_by == "cover":
            layers.append(self._cover(rng, target, n, gap))
        return render(backdrop, layers, size_hw)

    def _crowd(self, rng: np.random.Generator, n: int, size_hw: tuple[int, int]) -> tuple[Pixels, Masks]:
        """Things of one size spread over the frame; each other one resembles the target with a probability of 0.6."""
        backdrop = self._scenery(rng, n, size_hw)
        pictures = random_sprite(rng, self.corpus, n)
        if backdrop is None or not pictures:
            return _nothing(n, size_hw)
        spots = _spots(rng, int(rng.integers(3, 8)), size_hw)
        height_px = float(rng.uniform(0.7, 1.2)) * float(np.sqrt(size_hw[0] * size_hw[1] / len(spots)))
        layers: list[Sprite] = []
        for number, spot in enumerate(spots):
            other = pictures if not number or rng.random() < 0.6 else random_sprite(rng, self.corpus, n) or pictures
            size = height_px * float(rng.uniform(0.8, 1.2)) / max(other[0].shape[:2])
            shown = np.ones(n, np.bool_)
            sprite = _place(rng, other, n, size_hw, shown, is_target=not number, size=size, centre=spot)
            layers.insert(int(rng.integers(len(layers) + 1)), sprite)
        return render(backdrop, layers, size_hw)

    def _scenery(self, rng: np.random.Generator, n: int, size_hw: tuple[int, int]) -> Backdrop | None:
        """A photo or a video to paste on."""
        photos = self.corpus.backgrounds + tuple(f"{o}/image" for o in self.corpus.objects[::5])
        if self.corpus.videos and (rng.random() < 0.4 or not photos):
            images, _ = self._video_frames(rng, n)
        elif photos:
            images = [self.corpus.store[_choose(rng, photos)]] * n
        else:
            return None
        return Backdrop(images, None, _crop(rng, images[0], None, n, size_hw, CAMERA))

    def _video_frames(self, rng: np.random.Generator, n: int) -> tuple[list[Pixels], list[Pixels]]:
        """`n` frames and label maps at a random gap, forwards or backwards."""
        return self._stretch(rng, n, self.corpus.store, self._video_name(rng))

    def _video_name(self, rng: np.random.Generator) -> str:
        """Longer ones more often."""
        weights = np.array([len(self.corpus.store[f"{v}/frames"]) for v in self.corpus.videos], dtype=np.float64) ** 0.5
        return self.corpus.videos[int(rng.choice(len(weights), p=weights / weights.sum()))]

    def _stretch(
        self, rng: np.random.Generator, n: int, store: ArrayStore, name: str
    ) -> tuple[list[Pixels], list[Pixels]]:
        frames, labels = store[f"{name}/frames"], store[f"{name}/masks"]
        stride = int(rng.integers(1, self.config.max_stride + 1))
        stride = min(stride, max((len(frames) - 1) // max(n - 1, 1), 1))
        start = int(rng.integers(0, max(len(frames) - (n - 1) * stride, 1)))
        indices = [min(start + t * stride, len(frames) - 1) for t in range(n)]
        if rng.random() < 0.5:
            indices.reverse()
        return [frames[i] for i in indices], [labels[i] for i in indices]

    def _intruders(self, rng: np.random.Generator, n: int, size_hw: tuple[int, int], chance: float) -> list[Sprite]:
        if not self._has_sprites:
            return []
        sprites: list[Sprite] = []
        while len(sprites) < 3 and rng.random() < chance:
            shown = np.ones(n, np.bool_)
            if n > 1 and rng.random() < 0.3:
                shown[: int(rng.integers(1, n))] = False
            pictures = random_sprite(rng, self.corpus, n)
            if not pictures:
                break
            sprites.append(_place(rng, pictures, n, size_hw, shown))
        return sprites

    def _cover(self, rng: np.random.Generator, target: Sprite, n: int, gap: NDArray[np.bool_]) -> Sprite:
        """A patch of some photo, large enough to hide the target, that moves with it while it is there."""
        photos = self.corpus.backgrounds or tuple(f"{o}/image" for o in self.corpus.objects)
        image = self.corpus.store[_choose(rng, photos)] if photos else self._video_frames(rng, 1)[0][0]
        h, w = target.images[0].shape[:2]
        patch = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        fit = np.diag([rng.uniform(1.1, 1.6) * w / image.shape[1], rng.uniform(1.1, 1.6) * h / image.shape[0], 1.0])
        inner = translation(w / 2, h / 2) @ fit @ translation(-image.shape[1] / 2, -image.shape[0] / 2)
        return Sprite([patch] * n, target.motion @ inner, gap)


def _choose(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[int(rng.integers(len(names)))]


def _nothing(n: int, size_hw: tuple[int, int]) -> tuple[Pixels, Masks]:
    return np.zeros((n, *size_hw, 3), np.uint8), np.zeros((n, *size_hw), np.bool_)


def _pick_label(rng: np.random.Generator, labels: list[Pixels], least: float) -> list[Pixels] | None:
    """Masks (255) of one label of the first frame that takes a share of it between `least` and 0.6."""
    counts = np.bincount(labels[0].ravel(), minlength=2)[1:]
    present = np.flatnonzero((counts > least * labels[0].size) & (counts < 0.6 * labels[0].size)) + 1
    if not len(present):
        return None
    label = int(rng.choice(present))
    if all(frame is labels[0] for frame in labels):
        return [(labels[0] == label).astype(np.uint8) * 255] * len(labels)
    return [(frame == label).astype(np.uint8) * 255 for frame in labels]


def _crop(
    rng: np.random.Generator,
    image: Pixels,
    mask: Pixels | None,
    n: int,
    size_hw: tuple[int, int],
    motion: MotionRange | None,
) -> NDArray[np.float64]:
    """(n, 3, 3) from source to frame pixels: a random window that shows the target, then camera motion over it."""
    h0, w0 = image.shape[:2]
    h, w = size_hw
    turn = float(rng.normal(0, 0.06)) if rng.random() < 0.3 else 0.0
    aspect = float(np.exp(rng.normal(0, 0.08)))
    fit = max(w / w0, h / h0) * (1 + 1.5 * abs(turn)) * (1.08 if motion else 1.0)
    scale = fit * float(rng.uniform(1.0, 1.8) if rng.random() < 0.8 else 1.0)
    half_w, half_h = min(w / scale, w0) / 2, min(h / scale, h0) / 2
    cx, cy = w0 / 2, h0 / 2
    box = mask_box(mask) if mask is not None else None
    if box is not None:
        cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    cx += rng.uniform(-0.9, 0.9) * half_w
    cy += rng.uniform(-0.9, 0.9) * half_h
    cx, cy = float(np.clip(cx, half_w, w0 - half_w)), float(np.clip(cy, half_h, h0 - half_h))
    base = placement(scale, turn, bool(rng.random() < 0.5), aspect) @ translation(-cx, -cy)
    moves = random_motion(rng, n, (w, h), motion) if motion else np.broadcast_to(np.eye(3), (n, 3, 3))
    return translation(w / 2, h / 2) @ moves @ base


def _place(
    rng: np.random.Generator,
    pictures: list[Pixels],
    n: int,
    size_hw: tuple[int, int],
    shown: NDArray[np.bool_],
    is_target: bool = False,
    size: float | None = None,
    centre: tuple[float, float] | None = None,
) -> Sprite:
    """A sprite somewhere in the frame, of a random size, turned, flipped and moving.

    Args:
        size: scale from picture to frame pixels; None draws one.
        centre: x and y in pixels; None draws them.
    """
    h, w = size_hw
    h0, w0 = pictures[0].shape[:2]
    if size is None:
        size = float(np.sqrt(h * w) * np.exp(rng.uniform(np.log(0.1), np.log(0.65))) / np.sqrt(h0 * w0))
    turn = float(rng.normal(0, 0.3))
    base = placement(size, turn, bool(rng.random() < 0.5)) @ translation(-w0 / 2, -h0 / 2)
    moves = random_motion(rng, n, (w0 * size, h0 * size), OBJECT)
    x, y = (rng.uniform(0.1, 0.9) * w, rng.uniform(0.15, 0.85) * h) if centre is None else centre
    return Sprite(pictures, translation(x, y) @ moves @ base, shown, is_target)


def _spots(rng: np.random.Generator, count: int, size_hw: tuple[int, int]) -> list[tuple[float, float]]:
    """x and y in pixels of cells of a grid in random order, each moved a little."""
    h, w = size_hw
    columns = max(round(np.sqrt(count * w / h)), 1)
    rows = -(-count // columns)
    cells = rng.permutation(rows * columns)[:count]
    shift = rng.uniform(0.2, 0.8, (count, 2))
    return [
        ((c % columns + dx) / columns * w, (c // columns + dy) / rows * h)
        for c, (dx, dy) in zip(cells, shift, strict=True)
    ]


def _size_of(sprite: Sprite) -> float:
    """Scale of a placed sprite in frame 0."""
    return float(np.sqrt(abs(np.linalg.det(sprite.motion[0][:2, :2]))))
