"""How far the object's features lie from the background's, at each position and frame.

Read-outs are linear and have a closed form (see `readout`); nothing is trained by steps. A frame costs two products of
(cells x channels) matrices at each position, and one factorisation of (channels x channels).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.observe.grid import Regions
from maskscope.observe.measures.baselines import Elsewhere, colour_features, place_features
from maskscope.observe.measures.ranking import auc, average_precision
from maskscope.observe.measures.readout import ClassMoments, Readout, fisher_ratio
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.stages import Stage

AFTER_THE_PROMPT: Final[frozenset[Stage]] = frozenset({"memory_conditioned", "prompt_attended"})
"""Positions that on a prompted frame are of another kind: there is no memory to condition on, and a mask prompt tells
the decoder the answer. They are fitted on the first frame after it."""

FITTED_HERE: Final = "fitted here"
"""A read-out says nothing new of the frame it was fitted on."""

NO_ROOM: Final = "no room elsewhere"
"""The object is so large that its shape fits nowhere beside it: there is no control region."""

Place = str
"""A position, or "position/tap"."""

Split = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Scores of the object's cells (n1,) and of the background's (n0,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A feature map with what is known of its cells.

    Attributes:
        features_cn: (c, rows x columns) float32.
        regions: of the same grid.
    """

    features_cn: Tensor
    regions: Regions

    @classmethod
    def of(cls, features_chw: Tensor, regions: Regions) -> Cells:
        """Of features (c, h, w); float32 ones are not copied.

        Raises:
            ShapeError: the regions are of another grid.
        """
        if features_chw.ndim != 3 or tuple(features_chw.shape[1:]) != regions.grid:
            raise ShapeError(
                f"the features are {tuple(features_chw.shape)} and the regions {regions.grid}; "
                "features are (c, h, w) with h and w those of the regions"
            )
        return cls(features_chw.flatten(1).float(), regions)

    def moments(self) -> ClassMoments:
        """Of object and background; each has a cell at least."""
        ours, theirs = (
            self.features_cn.index_select(1, torch.from_numpy(np.flatnonzero(cells)).to(self.features_cn.device)).t()
            for cells in (self.regions.object, self.regions.background)
        )
        return ClassMoments.of(ours, theirs)

    def split(self, scores_n: Tensor) -> Split:
        """A score of every cell (rows x columns,) as those of object (n1,) and background (n0,)."""
        scores_hw = scores_n.reshape(self.regions.grid).cpu().numpy()
        return scores_hw[self.regions.object], scores_hw[self.regions.background]

    def along(self, direction_c: Tensor) -> Split:
        """How far each cell lies along a direction."""
        return self.split(direction_c @ self.features_cn)


def cosine_margin(cells: Cells, readout: Readout) -> float:
    """How much more the object's cells point to its prototype than the background's do.

    mean cos(x - m, p) over the object - the same over the background, where p is the prototype and m the centre of the
    frame it was fitted on. Range -2..2; 0 where the prototype says nothing of who is who.
    """
    rest = cells.features_cn - readout.centre_c[:, None]
    ours, theirs = cells.split((readout.prototype_c @ rest) / rest.norm(dim=0).clamp(min=1e-12))
    return float(ours.mean() - theirs.mean())


@dataclass(slots=True, eq=False)
class Separation:
    """Measures separation where it is shown features; fits each object's read-outs on the first frame that allows it.

    Metrics, each at its position unless said otherwise; see `docs/measures/separation.md`:

    - `separation_auc`, `separation_ap`: of the read-out fitted on the prompted frame (or the first after it, see
      `AFTER_THE_PROMPT`), on every other frame. What the tracker itself could know.
    - `..._others`: of the read-out in `others`, fitted on other clips.
    - `..._control`: the same task for the object's shape elsewhere.
    - `..._position`, `..._rgb`: read-outs of place alone and of colour alone, once a frame, at no stage.
    - `separation_chance`: the object's share of the cells measured, which is what AP is by chance; once a frame.
    - `fisher_ratio`: within the frame, without a read-out.
    - `cosine_margin`: to the prototype of the frame of fitting.

    - `..._fitted`: of the read-out on the very frame it was fitted on. No measure of separation, but what another run's
      same frame is to be compared with.

    Where a frame has no such figure `separation_auc` has a state: one of `Regions`, "fitted here", "fitted later", or
    "not finite".

    Args:
        prompted_frames: on which `AFTER_THE_PROMPT` positions are not fitted.
        others: read-outs of other clips by place, from `leave_one_out`.
        readouts: read-outs to use instead of fitting, as another `Separation` left them: those of the clean run, for a
            transformed one.
        elsewhere: places of the control regions, likewise.
        fisher_every: the Fisher ratio is measured on each so many frames; it costs as much as all the rest.
        collect: add up `moments`; the sum of a clip is what other clips are then fitted with.

    Attributes:
        readouts: by object and place; "control/", "position" and "rgb" before or instead of it.
        moments: by place, over all frames and objects, if collected.
    """

    prompted_frames: Collection[int] = (0,)
    others: Mapping[Place, Readout] = field(default_factory=dict)
    readouts: dict[tuple[int, Place], Readout] = field(default_factory=dict)
    elsewhere: dict[int, Elsewhere | None] = field(default_factory=dict)
    fisher_every: int = 1
    collect: bool = False
    moments: dict[Place, ClassMoments] = field(default_factory=dict, init=False)
    _fitted: dict[tuple[int, Place], int] = field(default_factory=dict, init=False)  # frame, of those fitted here
    _control: tuple[Regions, Regions] | None = field(default=None, init=False)  # of the regions at hand

    def __post_init__(self) -> None:
        self.readouts, self.elsewhere = dict(self.readouts), dict(self.elsewhere)  # the giver's stay as they are

    def see(self, sight: Sight) -> Iterator[Reading]:
        """Readings of a feature map (c, h, w); none for vectors and where no truth is."""
        regions, object_id = sight.regions, sight.object
        if regions is None or object_id is None or sight.features.ndim != 3:
            return
        if regions.state != "ok":
            yield sight.reading("separation_auc", state=regions.state)
            return
        place, cells = place_of(sight.stage, sight.tap), Cells.of(sight.features, regions)
        if not bool(torch.isfinite(cells.features_cn.square().sum())):
            yield sight.reading("separation_auc", state="not finite")
            return
        if self.collect or sight.frame % self.fisher_every == 0:
            moments = cells.moments()
            yield sight.reading("fisher_ratio", fisher_ratio(moments))
            if self.collect:
                self.moments[place] = self.moments[place] + moments if place in self.moments else moments
        if place in self.others:
            yield from _ranked(sight, cells.along(self.others[place].direction_c), "_others")
        readout = self._readout((object_id, place), sight, cells)
        if isinstance(readout, str):
            yield sight.reading("separation_auc", state=readout)
            if readout == FITTED_HERE:
                yield from _ranked(sight, cells.along(self.readouts[object_id, place].direction_c), "_fitted")
        else:
            yield from _ranked(sight, cells.along(readout.direction_c))
            yield sight.reading("cosine_margin", cosine_margin(cells, readout))
        yield from self._control_task(sight, object_id, place, regions)
        if place == "image_embedding":
            for reading in self._baselines(sight, object_id, regions):
                yield replace(reading, stage=None)

    def _control_task(self, sight: Sight, object_id: int, place: Place, regions: Regions) -> Iterator[Reading]:
        if object_id not in self.elsewhere:
            self.elsewhere[object_id] = Elsewhere.find(regions)
        there = self.elsewhere[object_id]
        if there is None:
            yield sight.reading("separation_auc_control", state=NO_ROOM)
            return
        if self._control is None or self._control[0] is not regions:
            self._control = (regions, there.control(regions))
        control = self._control[1]
        if control.state == "ok":
            cells = Cells.of(sight.features, control)
            readout = self._readout((object_id, f"control/{place}"), sight, cells)
            if isinstance(readout, Readout):
                yield from _ranked(sight, cells.along(readout.direction_c), "_control")

    def _baselines(self, sight: Sight, object_id: int, regions: Regions) -> Iterator[Reading]:
        """Of place and colour, on the grid of the image embedding."""
        ours, theirs = int(regions.object.sum()), int(regions.background.sum())
        yield sight.reading("separation_chance", ours / (ours + theirs))
        features = {"position": place_features(regions.grid)}
        if sight.picture_hwc is not None:
            features["rgb"] = colour_features(sight.picture_hwc, regions.grid)
        for name, features_chw in features.items():
            cells = Cells.of(features_chw, regions)
            readout = self._readout((object_id, name), sight, cells)
            if isinstance(readout, Readout):
                yield from _ranked(sight, cells.along(readout.direction_c), f"_{name}")

    def _readout(self, key: tuple[int, Place], sight: Sight, cells: Cells) -> Readout | str:
        """The read-out to test on this frame, or why there is none; one that does not exist yet is fitted if it may."""
        if key not in self.readouts:
            if sight.stage in AFTER_THE_PROMPT and sight.frame in self.prompted_frames:
                return "fitted later"
            self.readouts[key] = Readout.fit(cells.moments(), sight.frame, cells.features_cn.device)
            self._fitted[key] = sight.frame
        return FITTED_HERE if self._fitted.get(key) == sight.frame else self.readouts[key]


def place_of(stage: Stage, tap: str = "") -> Place:
    """The name under which read-outs and moments of a position or tap are kept."""
    return f"{stage}/{tap}" if tap else stage


def _ranked(sight: Sight, split: Split, suffix: str = "") -> Iterator[Reading]:
    yield sight.reading(f"separation_auc{suffix}", auc(*split))
    yield sight.reading(f"separation_ap{suffix}", average_precision(*split))
