"""What each stage filters: how far a disturbance of the picture still moves the features, in units of what is usual.

    distance   D_R = rms over cells p of R of ||f'(p) - f(p)|| / U_R
    usual      U_R = rms over neighbouring clean frames t, t + 1 and cells p of R of ||f_t+1(p) - f_t(p)||
    ratio      D_R at a position / D_R at the position it is fed from

f is the clean frame's feature map, brought to the layout of the disturbed frame f' where pixels moved; R the object's
cells, or the background's. Distances of raw features cannot be compared between positions, whose norms differ; in units
of the clean clip's own motion they can. Beside them `cka`, which no rotation or scale of the features changes.

Source: the idea is Bromley et al., arXiv 2503.00042 ("each stage filters"); the definitions are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

import torch
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.observe.alignment import align
from maskscope.observe.counterpart import Counterpart, same_frame
from maskscope.observe.measures.cka import MIN_PLACES, DebiasedCKA, places
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.stages import Stage

Region = Literal["object", "background"]
Place = tuple[Stage, str, int | None]  # stage, tap, object

FEEDS: Final[Mapping[Stage, Stage]] = {
    "memory_conditioned": "image_embedding",
    "prompt_attended": "memory_conditioned",
    "object_pointer": "prompt_attended",
    "memory_features": "image_embedding",  # the memory encoder reads the embedding and the mask, not the pointer
}
"""The position whose output each position is made of."""

NO_USUAL = "the clean clip does not move here"
NO_CELLS = "the region has too few cells"
NO_VARIATION = "the features do not vary here"
NOT_HELD = "the clean frame is no longer held"
UNDISTURBED = "undisturbed before this stage"


def squared_distance(a_chw: Tensor, b_chw: Tensor) -> Tensor:
    """||a(p) - b(p)||^2 of each cell, two (c, h, w) -> (h, w) float32 or better."""
    if a_chw.shape != b_chw.shape or a_chw.ndim != 3:
        raise ShapeError(f"the feature maps are {tuple(a_chw.shape)} and {tuple(b_chw.shape)}, expected one (c, h, w)")
    fine = torch.promote_types(a_chw.dtype, torch.float32)
    return (a_chw.to(fine) - b_chw.to(fine)).square().sum(0)


class RootMeanSquare:
    """Of cells that come region by region."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, squares_hw: Tensor, region_hw: Tensor) -> None:
        """Squares of a map, of which the cells of the region count."""
        picked = squares_hw[region_hw]
        self._sum += float(picked.sum(dtype=torch.float64))
        self._count += picked.numel()

    @property
    def value(self) -> float | None:
        """None where no cell has come."""
        return sqrt(self._sum / self._count) if self._count else None


def filtering_ratio(before: float, after: float) -> float | None:
    """What is left after a stage of the distance before it; below 1 it filters, above 1 it amplifies.

    None where there was nothing to filter.
    """
    return after / before if before > 0 else None


@dataclass(frozen=True, slots=True)
class _Found:
    """A distance, not yet in units of what is usual, or why there is none."""

    sight: Sight
    region: Region
    distance: float | None
    state: str | None


class Filtering:
    """Compares a disturbed run with the clean one, frame by frame while both run.

    Two probes feed it, one on each tracker: `Filtering.clean` and `Filtering.disturbed` are measures for
    `maskscope.observe.probe.Probe`. A disturbed frame must come after the clean frame it shows, at most `keep` clean
    frames later; one without a counterpart has the reason for a state. Readings are made at the end, by `readings`:
    what is usual is known only then.

    Args:
        size_hw: (height, width) of the frames in pixels.
        counterpart_of: the clean frame that a disturbed one shows, and where its pixels came from.
        keep: clean frames whose features are held; None holds all, for clips that run backwards.
        cka: also compare by CKA, which takes about as long as all the rest.
    """

    def __init__(
        self,
        size_hw: tuple[int, int],
        counterpart_of: Callable[[int], Counterpart] = same_frame,
        keep: int | None = 2,
        cka: bool = True,
    ) -> None:
        if keep is not None and keep < 2:
            raise ShapeError(f"{keep} clean frames are kept, expected 2 or more", "neighbours are compared")
        self.size_hw, self.counterpart_of, self.keep, self.with_cka = size_hw, counterpart_of, keep, cka
        self.clean = _Face(self._see_clean)
        self.disturbed = _Face(self._see_disturbed)
        self._held: dict[Place, dict[int, Sight]] = {}
        self._usual: dict[tuple[Place, Region], RootMeanSquare] = {}
        self._pooled_cka: dict[tuple[Place, Region], DebiasedCKA] = {}
        self._found: list[_Found] = []
        self._cka: list[Reading] = []

    # -- while the trackers run -----------------------------------------------------------------------------------

    def _see_clean(self, sight: Sight) -> None:
        held = self._held.setdefault(_place(sight), {})
        before = held.get(sight.frame - 1)
        if before is not None and before.features.shape == sight.features.shape:
            squares = squared_distance(_map(before.features), _map(sight.features))
            earlier = _regions(before)
            for region, cells in _regions(sight).items():
                both = cells & earlier[region]
                self._usual.setdefault((_place(sight), region), RootMeanSquare()).add(squares, both)
        held[sight.frame] = sight
        while self.keep is not None and len(held) > self.keep:
            del held[next(iter(held))]

    def _see_disturbed(self, sight: Sight) -> None:
        counterpart, light = self.counterpart_of(sight.frame), _without_features(sight)
        held = self._held.get(_place(sight), {})
        clean = None if counterpart.frame is None else held.get(counterpart.frame)
        if clean is None or clean.features.shape != sight.features.shape:
            state = counterpart.reason or NOT_HELD
            self._found += [_Found(light, region, None, state) for region in _regions(sight)]
            return
        features = _map(sight.features)
        flat = sight.features.ndim == 1  # a pointer lies nowhere, so nothing moves it
        aligned = align(_map(clean.features), None if flat else counterpart.to_other, self.size_hw)
        squares = squared_distance(features, aligned.features_chw)
        for region, cells in _regions(sight).items():
            here = cells & aligned.valid_hw
            distance = RootMeanSquare()
            distance.add(squares, here)
            empty = None if distance.value is not None else _why_empty(sight, region)
            self._found.append(_Found(light, region, distance.value, empty))
            if self.with_cka and not flat:
                clean_nc, other_nc = places(aligned.features_chw, here), places(features, here)
                if len(clean_nc) < MIN_PLACES:
                    self._cka.append(light.reading(f"cka.{region}", state=empty or NO_CELLS))
                else:
                    self._compare(light, region, clean_nc, other_nc)

    def _compare(self, sight: Sight, region: Region, clean_nc: Tensor, other_nc: Tensor) -> None:
        cka = self._pooled_cka.setdefault((_place(sight), region), DebiasedCKA())
        value = cka.add(clean_nc, other_nc)
        self._cka.append(sight.reading(f"cka.{region}", value, None if value is not None else NO_VARIATION))

    # -- at the end -----------------------------------------------------------------------------------------------

    def usual(self, stage: Stage, region: Region, tap: str = "", object: int | None = None) -> float | None:
        """What neighbouring clean frames differ by, in the features' unit; None where they were never comparable."""
        found = self._usual.get(((stage, tap, object), region))
        return None if found is None else found.value

    def readings(self) -> list[Reading]:
        """All there is to say.

        `filtering_distance.object` and `.background`: 0 is untouched, 1 as far as from one clean frame to the next.
        `filtering_ratio.object` and `.background`: distance over that of the position it is fed from (`FEEDS`), for
        positions and not for taps. `cka.object` and `.background`: of a frame, and over all frames (no frame given).
        """
        return [*self._distances(), *self._cka, *self._whole_cka()]

    def _distances(self) -> Iterator[Reading]:
        at: dict[tuple[Place, Region, int], float] = {}
        for found in self._found:
            metric, place = f"filtering_distance.{found.region}", _place(found.sight)
            usual = self.usual(place[0], found.region, place[1], place[2])
            if found.distance is None:
                yield found.sight.reading(metric, state=found.state)
            elif not usual:
                yield found.sight.reading(metric, state=NO_USUAL)
            else:
                at[place, found.region, found.sight.frame] = found.distance / usual
                yield found.sight.reading(metric, found.distance / usual)
        for found in self._found:
            stage, tap, object_id = place = _place(found.sight)
            if tap or stage not in FEEDS:
                continue
            after = at.get((place, found.region, found.sight.frame))
            before = at.get(((FEEDS[stage], "", object_id), found.region, found.sight.frame))
            if after is not None and before is not None:
                ratio = filtering_ratio(before, after)
                state = UNDISTURBED if ratio is None else None
                yield found.sight.reading(f"filtering_ratio.{found.region}", ratio, state)

    def _whole_cka(self) -> Iterator[Reading]:
        for ((stage, tap, object_id), region), cka in self._pooled_cka.items():
            state = None if cka.value is not None else NO_VARIATION
            yield Reading(metric=f"cka.{region}", value=cka.value, state=state, stage=stage, tap=tap, object=object_id)


class _Face:
    """One of the two sides of a comparison, as a measure."""

    def __init__(self, take: Callable[[Sight], None]) -> None:
        self._take = take

    def see(self, sight: Sight) -> Iterable[Reading]:
        """Nothing is said before the end."""
        self._take(sight)
        return []


def _place(sight: Sight) -> Place:
    return sight.stage, sight.tap, sight.object


def _map(features: Tensor) -> Tensor:
    """A pointer is a map of one cell."""
    return features[:, None, None] if features.ndim == 1 else features


def _regions(sight: Sight) -> dict[Region, Tensor]:
    """Cells of the object and of the background; all of a pointer is the object's."""
    device = sight.features.device
    if sight.features.ndim == 1:
        return {"object": torch.ones(1, 1, dtype=torch.bool, device=device)}
    if sight.regions is None:
        return {}
    return {
        "object": torch.from_numpy(sight.regions.object).to(device),
        "background": torch.from_numpy(sight.regions.background).to(device),
    }


def _why_empty(sight: Sight, region: Region) -> str:
    """A region without cells: because of the object, or because the frames share none there."""
    state = sight.regions.state if sight.regions is not None else "ok"
    named = state in ("absent", "lost at this stride") if region == "object" else state == "fills the frame"
    return state if named else NO_CELLS


def _without_features(sight: Sight) -> Sight:
    """What a reading needs of a sight."""
    return Sight(sight.stage, sight.tap, sight.frame, sight.object, sight.features.new_empty(0))
