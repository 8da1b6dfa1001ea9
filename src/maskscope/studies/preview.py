"""One clip under every family and severity, on one sheet: the door to `maskscope transform --preview`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from maskscope.data.output import new_file, writing
from maskscope.errors import DatasetError, SettingError
from maskscope.report.ladder import LadderCell, ladder_sheet
from maskscope.studies.clip_input import open_clips, open_material
from maskscope.transforms.base import SEVERITIES, Clip, ClipFrame, Material, SourceClip
from maskscope.transforms.chain import Recipe, transform
from maskscope.transforms.registry import family_names

log = logging.getLogger(__name__)

_LOOKED_AT: Final = 100  # frames of a clip among which the strongest is looked for


@dataclass(frozen=True)
class PreviewOptions:
    """What the sheet shows.

    Attributes:
        families: a row each, `family[/variant]`; none for every family there is.
        severities: a column each.
        seed: of all.
        sequence: of a data set; None for its first.
        frame: moment of the source clip, in frames; None shows each transformation where it is strongest.
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
    total = sum(map(len, rows))
    for row in rows:
        cells.append([])
        for recipe in row:
            try:
                cells[-1].append(_cell(clip, recipe, material, options.frame))
            except DatasetError as error:
                log.warning("%s is left out: %s", recipe, error)
                cells[-1].append(LadderCell(f"{_title(recipe)}: not possible", None))
                refused = refused or error
            progress(PreviewProgress("drawing", sum(map(len, cells)), total))
            if stop():
                return None
    if refused is not None and all(cell.frame is None for line in cells for cell in line):
        raise refused
    sheet = ladder_sheet(cells)
    with writing(path):
        sheet.save(path, format="PNG")
    return path


def _cell(clip: Clip, recipe: Recipe, material: Material, moment: int | None) -> LadderCell:
    changed = transform(clip, [recipe], material)
    if moment is None:
        frame = _strongest(changed)
    else:
        frame = changed.at(round(moment * (changed.num_frames - 1) / max(clip.num_frames - 1, 1)))
    variant = changed.plan.parameters.get("variant")
    return LadderCell(f"{_title(recipe, variant)}: {frame.strengths[-1]:.3g}", frame)


def _strongest(clip: Clip) -> ClipFrame:
    """The frame with the largest realised strength, of some spread over the clip; the middle one of equals."""
    count = min(clip.num_frames, _LOOKED_AT)
    places = sorted({round(place) for place in np.linspace(0, clip.num_frames - 1, count)})
    middle = (clip.num_frames - 1) / 2

    def rank(place: int) -> tuple[float, float]:
        strength = abs(clip.at(place).strengths[-1])
        return (strength if np.isfinite(strength) else -1.0, -abs(place - middle))

    return clip.at(max(places, key=rank))


def _title(recipe: Recipe, variant: str | None = None) -> str:
    """Family, variant (asked for, or drawn) and severity."""
    variant = variant or recipe.variant
    return f"{recipe.family if variant is None else f'{recipe.family}/{variant}'} {recipe.severity}"
