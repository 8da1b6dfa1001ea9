"""Viewpoint: the camera pans, zooms, rolls, tilts, shakes, or closes in on a corner. Moves masks with the picture.

Frame 0 is the clip's own, so that a prompt on it stays right; from there the camera moves smoothly. Picture, both
masks and void pixels follow one homography. What lies beyond the source's border is void.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maskscope.transforms.base import Clip, ClipFrame, Material, Plan, clip_generator
from maskscope.transforms.families.cameras import Trajectory, corner_displacement, trajectory
from maskscope.transforms.families.common import UnchangedPlan, check_length, check_request, ladder
from maskscope.transforms.families.warping import warped

Floats = NDArray[np.float64]

_LOOKS: Final = 8  # frames on which it is tried where the target gets to
_POINTS: Final = 200  # of the target, on each
_KEPT_SHARE: Final = 0.9  # of the target in the picture, for a direction to be taken as it was drawn


@dataclass(frozen=True)
class ViewpointPlan:
    """One homography a frame.

    Attributes:
        parameters: what was decided.
        size_hw: of the picture, pixels.
        matrices: (n, 3, 3) from a frame's pixel places to where they are shown; identity on frame 0.
    """

    parameters: Mapping[str, Any]
    size_hw: tuple[int, int]
    matrices: Floats

    @property
    def num_frames(self) -> int:
        """The source's."""
        return len(self.matrices)

    def sources(self, t: int) -> tuple[int, ...]:
        """The same frame."""
        return (t,)

    def apply(self, t: int, frames: Sequence[ClipFrame]) -> ClipFrame:
        """The frame as the moved camera shows it; its strength is the largest way of a corner over the diagonal."""
        matrix = self.matrices[t]
        if np.array_equal(matrix, np.eye(3)):
            return frames[0].with_strength(0.0)
        return warped(frames[0], matrix, float(corner_displacement(matrix, self.size_hw)))


class Viewpoint:
    """The family; see `Family`. Its variants:

    - "pan", "zoom" (in or out), "roll" and "perspective" (the picture's plane tilts) go there and back;
    - "shake" is a hand-held camera: shifts, little roll and zoom, of six frames' period and longer;
    - "crop" closes in on a corner of the picture, within 24 frames, and stays.

    Each is scaled so that its largest corner displacement is the severity's. Of the mirrored forms of a motion the
    first is taken that keeps the target of the first frame in the picture at severity 5, or the one that keeps most.
    """

    name: str = "viewpoint"
    unit: str = "largest displacement of a corner over the picture's diagonal"
    on_masks: str = "moves"
    variants: tuple[str, ...] = ("pan", "zoom", "roll", "perspective", "shake", "crop")
    table: Mapping[int, Mapping[str, Any]] = ladder(
        displacement_of_diagonal=(0.03, 0.07, 0.12, 0.20, 0.30),
        shake_displacement_of_diagonal=(0.01, 0.02, 0.035, 0.055, 0.08),
        crop_displacement_of_diagonal=(0.10, 0.25, 0.45, 0.70, 1.00),
    )

    def plan(self, clip: Clip, severity: int, seed: int, material: Material, variant: str | None = None) -> Plan:
        """See `Family`; takes no material.

        Raises:
            SettingError: an unknown severity or variant.
            DatasetError: a clip of one frame.
        """
        check_request(self.name, severity, variant, self.variants)
        if severity == 0:
            return UnchangedPlan(clip.num_frames, self.name)
        order = clip_generator(seed, self.name, clip.name)
        drawn = self.variants[int(order.integers(len(self.variants)))]
        kind = drawn if variant is None else variant
        check_length(self.name, kind, clip, 2)
        rng = clip_generator(seed, self.name, clip.name, kind)
        column = f"{kind}_displacement_of_diagonal" if kind in ("shake", "crop") else "displacement_of_diagonal"
        moving = trajectory(kind, clip.num_frames, rng)
        # Decided at the highest severity, so that all severities of a seed move alike.
        moving, kept = _keeping_target(clip, moving, self.table[5][column], rng)
        displacement = self.table[severity][column]
        matrices = moving.reaching(displacement, clip.size)
        parameters = {
            "family": self.name,
            "severity": severity,
            "variant": kind,
            "displacement_of_diagonal": displacement,
            "target_kept_at_severity_5": None if kept is None else round(kept, 3),
        }
        return ViewpointPlan(parameters, clip.size, matrices)


VIEWPOINT: Final = Viewpoint()


def _keeping_target(
    clip: Clip, moving: Trajectory, displacement: float, rng: np.random.Generator
) -> tuple[Trajectory, float | None]:
    """The motion, mirrored if the target would leave the picture otherwise, and the least share of it that stays."""
    forms = [moving.mirrored(across, along) for across in (False, True) for along in (False, True)]
    points = _target_points(clip)
    if not points:
        return moving, None
    found: list[tuple[float, float, Trajectory]] = []
    for index in (0, *(1 + rng.permutation(3))):
        matrices = forms[index].reaching(displacement, clip.size)
        shares = [_inside(matrices[t], places, clip.size) for t, places in points.items()]
        found.append((float(np.mean(shares)), min(shares), forms[index]))
        if min(shares) >= _KEPT_SHARE:
            return forms[index], min(shares)
    # Where no form keeps the target on all frames, the one that shows it longest.
    _, kept, form = max(found, key=lambda one: one[:2])
    return form, kept


def _target_points(clip: Clip) -> dict[int, Floats]:
    """(k, 3) places of the target of the first frame, on frames all over the clip on which it is."""
    labels = np.unique(clip.at(0).visible_hw)
    labels = labels[labels > 0]
    points = {}
    for t in np.unique(np.linspace(1, clip.num_frames - 1, _LOOKS).astype(int)) if len(labels) else ():
        rows, columns = np.nonzero(np.isin(clip.at(int(t)).amodal_hw, labels))
        if len(rows):
            some = np.unique(np.linspace(0, len(rows) - 1, _POINTS).astype(int))
            points[int(t)] = np.column_stack([columns[some], rows[some], np.ones(len(some))]).astype(np.float64)
    return points


def _inside(matrix: Floats, places: Floats, size_hw: tuple[int, int]) -> float:
    """Share of places that a homography leaves within the picture."""
    moved = places @ matrix.T
    x, y = moved[:, 0] / moved[:, 2], moved[:, 1] / moved[:, 2]
    within = (x >= -0.5) & (y >= -0.5) & (x < size_hw[1] - 0.5) & (y < size_hw[0] - 0.5)
    return float(np.mean(within))
