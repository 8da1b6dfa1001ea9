"""What a made-up clip shall show: sizes, actors, occlusion, camera, sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskscope.errors import VideoError

Occlusion = Literal["none", "partial", "full"]
Coat = Literal["stripes", "spots", "patches"]


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """One clip, wholly determined by these values: equal configurations give equal bytes.

    An animal (object 1) walks through a landscape, filmed by a hand-held camera that pans with it; others of its
    kind (objects 2, 3, ...) walk beside it, and it passes behind something that stands in the foreground.

    Attributes:
        seed: draws the landscape, the species, the coats and every motion.
        num_frames: length of the clip.
        height_px: picture height; everything scales with it.
        width_px: picture width.
        fps: frames per second; sets how far things move between frames.
        num_objects: the target and `num_objects - 1` distractors of its kind, 1 to 6.
        object_height: height of the target over the picture height, 0.08 to 0.6.
        speed: walking speed in multiples of an easy walk, above 0.
        coat: pattern of the fur; drawn from the seed when None.
        likeness: 0 gives distractors colours of their own, 1 those of the target (the fur pattern always differs).
        occlusion: "partial" puts a tree trunk in the way that hides `occlusion_share` of the target on its middle
            frame, "full" a thicket behind which the target is wholly hidden for `occlusion_frames` frames.
        occlusion_share: share of the target's pixels a trunk hides when it stands before the target's middle.
        occlusion_frames: consecutive frames on which nothing of the target is seen, at least.
        occlusion_start: the first of those frames (partial: the frame of the largest share); the clip's middle if None.
        occlusion_every: distance in frames between the starts of repeated occlusions; None for a single one.
        disappear: `(first, end)`: on frames `first <= t < end` the camera looks elsewhere and the target is out of
            the picture; it swings away before and back after, within `SWING_FRAMES` frames.
        camera_motion: scale of pan, zoom, roll and shake against the target; 0 keeps it in the picture's middle.
        illumination_drift: largest slow change of brightness, as a share.
        shadows: whether actors and occluders cast shadows on the ground (a shadow belongs to no mask).
        blur_samples: pictures averaged over the open shutter, odd; 1 gives no motion blur. Masks show the state at
            the shutter's centre.
        noise: standard deviation of the sensor noise in grey levels of 255, at mid grey; 0 for none.

    Raises:
        VideoError: a value outside its range.
    """

    seed: int = 0
    num_frames: int = 72
    height_px: int = 480
    width_px: int = 854
    fps: float = 24.0
    num_objects: int = 2
    object_height: float = 0.3
    speed: float = 1.0
    coat: Coat | None = None
    likeness: float = 0.7
    occlusion: Occlusion = "full"
    occlusion_share: float = 0.5
    occlusion_frames: int = 6
    occlusion_start: int | None = None
    occlusion_every: int | None = None
    disappear: tuple[int, int] | None = None
    camera_motion: float = 1.0
    illumination_drift: float = 0.06
    shadows: bool = True
    blur_samples: int = 3
    noise: float = 2.0

    def __post_init__(self) -> None:
        _between("seed", self.seed, 0, 2**63 - 1)
        _between("num_frames", self.num_frames, 1, 1_000_000)
        _between("height_px", self.height_px, 48, 4320)
        _between("width_px", self.width_px, 48, 8192)
        _between("fps", self.fps, 1, 1000)
        _between("num_objects", self.num_objects, 1, 6)
        _between("object_height", self.object_height, 0.08, 0.6)
        _between("speed", self.speed, 0.05, 10)
        _between("likeness", self.likeness, 0, 1)
        _between("occlusion_share", self.occlusion_share, 0.05, 0.95)
        _between("occlusion_frames", self.occlusion_frames, 1, 10_000)
        _between("camera_motion", self.camera_motion, 0, 3)
        _between("illumination_drift", self.illumination_drift, 0, 0.5)
        _between("blur_samples", self.blur_samples, 1, 15)
        _between("noise", self.noise, 0, 50)
        if self.occlusion not in ("none", "partial", "full"):
            raise VideoError(f"occlusion is {self.occlusion!r}", "choose none, partial or full")
        if self.coat not in (None, "stripes", "spots", "patches"):
            raise VideoError(f"coat is {self.coat!r}", "choose stripes, spots or patches, or leave it out")
        if self.blur_samples % 2 == 0:
            raise VideoError(f"blur_samples is {self.blur_samples}", "choose an odd number: the masks show its middle")
        if self.occlusion_start is not None:
            _between("occlusion_start", self.occlusion_start, 0, self.num_frames - 1)
        if self.occlusion_every is not None:
            _between("occlusion_every", self.occlusion_every, self.occlusion_frames + 1, 1_000_000)
        if self.disappear is not None and not 0 < self.disappear[0] < self.disappear[1]:
            raise VideoError(f"disappear is {self.disappear}", "give (first, end) with 0 < first < end")

    def occlusion_starts(self) -> tuple[int, ...]:
        """First frame of every occlusion within the clip, in order; empty without occlusion."""
        if self.occlusion == "none":
            return ()
        length = self.occlusion_frames if self.occlusion == "full" else 1
        first = (self.num_frames - length) // 2 if self.occlusion_start is None else self.occlusion_start
        if self.occlusion_every is None:
            return (max(first, 0),)
        if self.occlusion_start is None:
            first = self.occlusion_every // 2
        return tuple(range(first, self.num_frames, self.occlusion_every))


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise VideoError(f"{name} is {value}", f"choose one from {low:g} to {high:g}")
