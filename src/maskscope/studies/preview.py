"""One clip under every family and severity, on one sheet: the door to `maskscope transform --preview`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.data.output import new_file, writing
from maskscope.errors import DatasetError, SettingError
from maskscope.report.ladder import LadderCell, ladder_sheet
from maskscope.studies.clip_input import open_clips, open_material
from maskscope.transforms.base import SEVERITIES, Clip, ClipFrame, Material, SourceClip
from maskscope.transforms.chain import Recipe, transform
from maskscope.transforms.registry import family_names

log = logging.getLogger(__name__)

_LOOKED_AT: Final = 100  # frames of a clip among which the strongest is looked for
_NEARLY: Final = 0.9  # of the largest strength: frames as strong as this are alike to the eye
_LEAST_SHOWN: Final = 0.7  # of the objects' median area, for a frame of the source to be shown


@dataclass(frozen=True)
class PreviewOptions:
    """What the sheet shows.

    Attributes:
        families: a row each, `family[/variant]`; none for every family there is.
        severities: a column each.
        seed: of all.
        sequence: of a data set; None for its first.
        frame: moment of the source clip, in frames; None shows each row where its highest severity is strongest,
            and the others as near to that moment as they are strong.
        masks: as of `TransformOptions`, like `material`.
        material: see there.
    """

    families: tuple[str, ...] = ()
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0
    sequence: str | None = None
    frame: int | None = None
    masks: Path | None = None
    material: Path | None = None


@dataclass(frozen=True)
class PreviewProgress:
    """How far the sheet is: transformations drawn, of how many; for a progress bar."""

    stage: str
    done: int
    total: int


def preview(
    source: str | Path,
    out: str | Path,
    options: PreviewOptions | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[PreviewProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Write a contact sheet of one clip: families by severities, with outlines and realised strengths.

    Args:
        source: as of `transform_dataset`.
        out: the PNG file.
        options: see `PreviewOptions`.
        overwrite: replace the file.
        progress: called after each cell.
        stop: asked after each cell; True writes nothing.

    Returns:
        The file, or None when stopped.

    Raises:
        DatasetError: the source is not as its format says, or can be transformed in none of the ways asked for.
        SettingError: an unknown family, variant or frame.
        OutputError: the file exists, or cannot be written.
    """
    options = options or PreviewOptions()
    rows = [
        [Recipe.parse(name, severity, options.seed) for severity in options.severities]
        for name in options.families or family_names()
    ]
    path = Path(out)
    if path.suffix.lower() != ".png":
        raise SettingError(f"the sheet is a PNG, got --out {path}", "name a file that ends in .png")
    clips = open_clips(source, options.masks, () if options.sequence is None else (options.sequence,))
    clip = SourceClip(clips.open(clips.names[0]))
    if options.frame is not None and not 0 <= options.frame < clip.num_frames:
        raise SettingError(
            f"{clip.name} has no frame {options.frame}: it has {clip.num_frames} frames",
            f"give a number from 0 to {clip.num_frames - 1}",
        )
    material = open_material(options.material).without(clip.name)
    new_file(path, overwrite)
    cells: list[list[LadderCell]] = []
    refused: DatasetError | None = None
    drawn, total = 0, sum(map(len, rows))
    shown = _shown(clip)
    for row in rows:
        cells.append([LadderCell("", None)] * len(row))
        moment: float | None = options.frame
        # The hardest first: where it is hardest is looked at on the whole row.
        for place in sorted(range(len(row)), key=lambda place: -row[place].severity):
            try:
                cell, moment = _cell(clip, row[place], material, options.frame, moment, shown)
            except DatasetError as error:
                log.warning("%s is left out: %s", row[place], error)
                cell = LadderCell(f"{_title(row[place])}: not possible", None)
                refused = refused or error
            cells[-1][place] = cell
            drawn += 1
            progress(PreviewProgress("drawing", drawn, total))
            if stop():
                return None
    if refused is not None and all(cell.frame is None for line in cells for cell in line):
        raise refused
    sheet = ladder_sheet(cells)
    with writing(path):
        sheet.save(path, format="PNG")
    return path


def _cell(
    clip: Clip, recipe: Recipe, material: Material, asked: int | None, near: float | None, shown: NDArray[np.bool_]
) -> tuple[LadderCell, float | None]:
    """A cell, and the moment of the source it shows: `near`, where the row has one and this place shows one."""
    changed = transform(clip, [recipe], material)
    if asked is None:
        frame = _strongest(changed, near, shown)
    else:
        frame = changed.at(round(asked * (changed.num_frames - 1) / max(clip.num_frames - 1, 1)))
    variant = changed.plan.parameters.get("variant")
    cell = LadderCell(f"{_title(recipe, variant)}: {frame.strengths[-1]:.3g}", frame)
    return cell, frame.source_time if near is None else near


def _shown(clip: Clip) -> NDArray[np.bool_]:
    """(n,) frames on which the objects are not nearly out of sight already, so that one sees what is done to them."""
    looked_at = _spread(clip.num_frames)
    areas = np.array([np.count_nonzero(clip.at(place).amodal_hw) for place in looked_at], dtype=np.float64)
    least = _LEAST_SHOWN * float(np.median(areas[areas > 0])) if areas.any() else 0.0
    return np.asarray(np.interp(np.arange(clip.num_frames), looked_at, areas) >= least)


def _strongest(clip: Clip, near: float | None, shown: NDArray[np.bool_]) -> ClipFrame:
    """The strongest frame, of equals the one nearest to the middle; with a moment the nearest to it that is as strong.

    Frames on which the source hides its objects, or they are out of the picture, are passed over where others will do.
    """
    middle = (clip.num_frames - 1) / 2
    seen: dict[int, tuple[float, float]] = {}  # place -> strength, distance
    every: dict[int, tuple[float, float]] = {}
    for place in _spread(clip.num_frames):
        frame = clip.at(place)
        strength, time = abs(frame.strengths[-1]), frame.source_time
        distance = abs(place - middle) if near is None or time is None else abs(time - near)
        every[place] = (strength if np.isfinite(strength) else -1.0, distance)
        if time is None or (shown[round(time)] and frame.amodal_hw.any()):
            seen[place] = every[place]
    # What happens on a single frame, such as a jump, may happen where the source hides its objects.
    ranked = seen if seen and (max(seen.values())[0] > 0 or max(every.values())[0] <= 0) else every
    enough = (1.0 if near is None else _NEARLY) * max(ranked.values())[0]
    return clip.at(min((distance, place) for place, (strength, distance) in ranked.items() if strength >= enough)[1])


def _spread(num_frames: int) -> list[int]:
    """Some frames all over a clip."""
    count = min(num_frames, _LOOKED_AT)
    return sorted({round(place) for place in np.linspace(0, num_frames - 1, count)})


def _title(recipe: Recipe, variant: str | None = None) -> str:
    """Family, variant (asked for, or drawn) and severity."""
    variant = variant or recipe.variant
    return f"{recipe.family if variant is None else f'{recipe.family}/{variant}'} {recipe.severity}"
