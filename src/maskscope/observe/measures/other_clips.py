"""Separation by read-outs of other clips: what is kept of each clip for it, and how each clip is left out in turn.

Of a clip a sample of cells on a few frames is kept: small, whatever the clip's length, and enough both to fit the
read-outs of all other clips and to test theirs on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.observe.grid import Regions
from maskscope.observe.measures.baselines import Elsewhere, colour_features, place_features
from maskscope.observe.measures.ranking import auc, average_precision
from maskscope.observe.measures.readout import ClassMoments, Readout, add_up, leave_one_out
from maskscope.observe.measures.separation import Place
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.stages import STAGES, Stage

FRAMES: Final = 8
CELLS: Final = 100
"""Of each class, frame and object at most; neighbouring cells resemble each other, so more would say little more."""

_CONTROL: Final = "control/"


@dataclass(frozen=True, slots=True, eq=False)
class CellSample:
    """Some cells of one object at one place on one frame.

    Attributes:
        object: its number.
        place: a position, "control/POSITION", "position" (of cells in the picture) or "rgb".
        frame: its number.
        object_nc: (n1, c) float32, cells of the object, or of the control region.
        background_nc: (n0, c) float32.
        counts: how many cells of object and background there were to choose from.
    """

    object: int
    place: Place
    frame: int
    object_nc: NDArray[np.float32]
    background_nc: NDArray[np.float32]
    counts: tuple[int, int]

    @classmethod
    def of(cls, object_id: int, place: Place, frame: int, features_chw: Tensor, regions: Regions) -> CellSample:
        """Cells evenly from all over each class, the same every time; the regions are "ok"."""
        features_cn = features_chw.detach().flatten(1)
        chosen, counts = [], []
        for cells in (regions.object, regions.background):
            at = np.flatnonzero(cells)
            counts.append(len(at))
            at = at[np.linspace(0, len(at) - 1, min(len(at), CELLS)).round().astype(int)]
            some_cn = features_cn.index_select(1, torch.from_numpy(at).to(features_cn.device))
            chosen.append(some_cn.t().float().cpu().numpy())
        return cls(object_id, place, frame, chosen[0], chosen[1], (counts[0], counts[1]))

    def moments(self) -> ClassMoments:
        """Of the cells kept."""
        return ClassMoments.of(torch.from_numpy(self.object_nc), torch.from_numpy(self.background_nc))

    def ranked(self, readout: Readout) -> tuple[float, float]:
        """AUC and AP of a read-out; AP as of all cells there were, each kept cell standing for its share."""
        direction_c = readout.direction_c.cpu().numpy()
        ours, theirs = self.object_nc @ direction_c, self.background_nc @ direction_c
        weights = self.counts[0] / len(ours), self.counts[1] / len(theirs)
        return auc(ours, theirs), average_precision(ours, theirs, *weights)


@dataclass(eq=False)
class CellKeeper:
    """A measure that says nothing and keeps samples of cells: of the positions, and of what they are held against.

    Args:
        frames: on which cells are kept, see `sampled_frames`.

    Attributes:
        samples: so far.
    """

    frames: Collection[int]
    samples: list[CellSample] = field(default_factory=list, init=False)
    _elsewhere: dict[int, Elsewhere | None] = field(default_factory=dict, init=False)

    def see(self, sight: Sight) -> Iterator[Reading]:
        """No reading; the position's cells are kept where object and background have some."""
        regions, object_id = sight.regions, sight.object
        wanted = sight.frame in self.frames and not sight.tap
        if wanted and object_id is not None and regions is not None and regions.state == "ok":
            finite = bool(torch.isfinite(sight.features).all())
            if finite:
                self._keep(sight, object_id, regions)
        return iter(())

    def _keep(self, sight: Sight, object_id: int, regions: Regions) -> None:
        def keep(place: Place, features_chw: Tensor, of: Regions) -> None:
            self.samples.append(CellSample.of(object_id, place, sight.frame, features_chw, of))

        keep(sight.stage, sight.features, regions)
        if object_id not in self._elsewhere:
            self._elsewhere[object_id] = Elsewhere.find(regions)
        there = self._elsewhere[object_id]
        control = there.control(regions) if there is not None else None
        if control is not None and control.state == "ok":
            keep(f"{_CONTROL}{sight.stage}", sight.features, control)
        if sight.stage == "image_embedding":
            keep("position", place_features(regions.grid), regions)
            if sight.picture_hwc is not None:
                keep("rgb", colour_features(sight.picture_hwc, regions.grid), regions)


def sampled_frames(num_frames: int) -> frozenset[int]:
    """Frames from all over a clip but the prompted one, on which some positions are of another kind."""
    return frozenset(int(t) for t in np.linspace(1, num_frames - 1, FRAMES).round()) if num_frames > 1 else frozenset()


def across_clips(samples: Mapping[str, Sequence[CellSample]]) -> dict[str, list[Reading]]:
    """For each clip what the read-outs fitted on all others say of it, by object and place, as means over its frames.

    `separation_auc_others` and `separation_ap_others` at positions; `..._control_others` there; and at no stage
    `..._position_others` and `..._rgb_others`. Control and baselines are fitted on other clips, too. A clip of which
    nothing was kept has a state.

    Args:
        samples: of each clip.

    Raises:
        MaskscopeError: fewer than two clips have any.
    """
    moments: dict[str, dict[Place, ClassMoments]] = {}
    for clip, kept in samples.items():
        if kept:
            places = dict.fromkeys(each.place for each in kept)
            moments[clip] = {place: add_up(one.moments() for one in kept if one.place == place) for place in places}
    readouts = leave_one_out(moments)
    return {clip: list(_said(kept, readouts.get(clip, {}))) for clip, kept in samples.items()}


def _said(kept: Sequence[CellSample], readouts: Mapping[Place, Readout]) -> Iterator[Reading]:
    if not kept:
        yield Reading(metric="separation_auc_others", state="no cells kept")
    values: dict[tuple[int, Place], list[tuple[float, float]]] = {}
    for each in kept:
        if each.place in readouts:
            values.setdefault((each.object, each.place), []).append(each.ranked(readouts[each.place]))
    for (object_id, place), found in values.items():
        area, precision = (float(mean) for mean in np.mean(found, axis=0))
        stage, ending = _at(place)
        yield Reading(metric=f"separation_auc{ending}_others", value=area, stage=stage, object=object_id)
        yield Reading(metric=f"separation_ap{ending}_others", value=precision, stage=stage, object=object_id)


def _at(place: Place) -> tuple[Stage | None, str]:
    """Position and ending of the metric's name."""
    control = place.startswith(_CONTROL)
    for stage in STAGES:
        if stage == place.removeprefix(_CONTROL):
            return stage, "_control" if control else ""
    return None, f"_{place}"
