"""The bundled clip tracked from its first mask, scored against the truth, made into pictures, and diagnosed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.assets import DemoClip, demo_clip
from maskscope.data.output import writing
from maskscope.data.video import open_video
from maskscope.evaluate.protocol import DAVIS, SequenceScore, evaluate_sequence
from maskscope.extras import load_extra
from maskscope.report.contact_sheet import contact_sheet
from maskscope.studies.bundled_clip import BundledClip
from maskscope.studies.diagnose import DiagnoseOptions, DiagnoseSummary, diagnose_clip
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.observe import ObserveOptions
from maskscope.studies.observe import Progress as ObserveProgress
from maskscope.studies.track import Progress, TrackOptions, TrackSummary, track_video
from maskscope.tracking.prompts import Prompt

SHEET_FRAMES, SHEET_COLUMNS = 12, 3
DIAGNOSED_NAME: Final = "diagnosis"
DIAGNOSED_FRAMES: Final = 40
DIAGNOSED_FAMILIES: Final = ("occlusion:4", "illumination:4", "viewpoint:4")
"""Few enough for a couple of minutes on two processors: one clean run, three transformed ones, and interventions."""


@dataclass(frozen=True)
class DemoResult:
    """What `run_demo` did.

    Attributes:
        summary: of the run.
        score: J and F as DAVIS counts them; None when the run was stopped.
        sheet: the contact sheet; None likewise.
    """

    summary: TrackSummary
    score: SequenceScore | None
    sheet: Path | None


def run_demo(
    out: str | Path,
    options: TrackOptions | None = None,
    *,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> DemoResult:
    """Follow all objects of the clip's first mask; write what `track_video` writes and `contact-sheet.png`.

    Args:
        out: the folder; made if need be.
        options: of the run; the whole clip forwards is what is scored.
        overwrite: as of `track_video`, like the arguments after it.
        command: see there.
        progress: see there.
        stop: see there.

    Raises:
        CheckpointError: the model cannot be had.
        OutputError: the folder holds other results, or cannot be written.
    """
    clip = demo_clip()
    first = clip.masks[0]
    prompts = [Prompt(int(number), mask=first == number) for number in np.unique(first) if number]
    summary = track_video(
        clip.video_path, prompts, out, options, overwrite=overwrite, command=command, progress=progress, stop=stop
    )
    if not summary.finished:
        return DemoResult(summary, None, None)
    found = _label_maps(summary.folder / "masks", len(clip.masks))
    score = evaluate_sequence(found, clip.masks, DAVIS)
    sheet = summary.folder / "contact-sheet.png"
    with writing(sheet):
        _sheet(clip, found, score).save(sheet)
    return DemoResult(summary, score, sheet)


def diagnose_demo(
    out: str | Path,
    options: TrackOptions | None = None,
    *,
    max_frames: int = DIAGNOSED_FRAMES,
    families: Sequence[str] = DIAGNOSED_FAMILIES,
    command: Sequence[str] = (),
    progress: Callable[[ObserveProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> DiagnoseSummary:
    """Diagnose the first animal of the clip's beginning, in the folder `diagnosis`; an earlier one there is replaced.

    Args:
        out: folder of the demo.
        options: of the run; its model, policy, device, precision and size are taken.
        max_frames: how many frames are looked at.
        families: of transformations, `family[/variant]:severity`.
        command: as of `diagnose_clip`, like the arguments after it.
        progress: see there.
        stop: see there.

    Raises:
        SettingError: PyArrow or Plotly is not installed.
        CheckpointError: the model cannot be had.
        OutputError: the folder cannot be written.
    """
    for module, extra, purpose in (("pyarrow", "tables", "tables of results"), ("plotly", "report", "pages")):
        load_extra(module, extra, purpose)
    options = options or TrackOptions()
    source = BundledClip()
    frames = min(max_frames, source.num_frames)
    clip = LookedAt(source.name, frames, source.size, source.fps, 0, source.num_frames, True, source)
    observe = ObserveOptions(options.model, options.policy, options.device, options.precision, options.image_size)
    return diagnose_clip(
        clip,
        clip.prompts()[:1],
        Path(out) / DIAGNOSED_NAME,
        DiagnoseOptions(observe, tuple(families)),
        overwrite=True,
        command=command,
        progress=progress,
        stop=stop,
    )


def _label_maps(folder: Path, count: int) -> NDArray[np.uint8]:
    """(T, H, W) uint8 from the mask pictures."""
    maps = []
    for number in range(count):
        with Image.open(folder / f"{number:05d}.png") as image:
            maps.append(np.array(image))
    return np.stack(maps)


def _sheet(clip: DemoClip, found: NDArray[np.uint8], score: SequenceScore) -> Image.Image:
    """Frames from all over the clip, the truth as an outline, the first object's J beside their numbers."""
    numbers = np.linspace(0, len(found) - 1, SHEET_FRAMES).round().astype(int).tolist()
    video = open_video(clip.video_path)
    first = dict(zip(score.frames.tolist(), score.region[0].tolist(), strict=True))
    captions = [f"frame {n}, J {first[n]:.2f}" if n in first else f"frame {n}" for n in numbers]
    return contact_sheet(
        [video.frame(n).rgb for n in numbers],
        found[numbers],
        columns=SHEET_COLUMNS,
        captions=captions,
        truth=clip.masks[numbers],
    )
