"""Typical failures of the compact model as a picture: a row each, with the truth, what was found, and J of every frame.

    python benchmarks/failures.py [--model NAME|FILE] [--only NAME ...] [--out FILE]

The clips are drawn, with exact masks, and training saw none of them. The first mask is given and every frame tracked in
float32; a row shows some frames, cut to where the object and what was found in its stead are. They were chosen because
the model fails on them: how often it does is in the tables of MODEL_CARD.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from contact_sheets import ROOT, WIDTH_PX, small_jpeg
from maskscope.data.output import writing
from maskscope.data.synthetic import SyntheticConfig, SyntheticFrame, iter_clip
from maskscope.data.synthetic.plant import PlantConfig, iter_plant
from maskscope.errors import MaskscopeError, SettingError
from maskscope.evaluate.region import region_similarity
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.report.contact_sheet import contact_sheet
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker

TITLE_PX = 30
SMALLEST_CUT = 0.3  # of the picture's sides


def drawn(**changes: object) -> Callable[[], Iterator[SyntheticFrame]]:
    """An animal of 512 x 288 pixels' pictures."""
    return lambda: iter_clip(SyntheticConfig(height_px=288, width_px=512, blur_samples=1, **changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        title: what goes wrong, above it.
        clip: draws the frames; object 1 is followed.
        shown: which frames the row has.
    """

    title: str
    clip: Callable[[], Iterator[SyntheticFrame]]
    shown: tuple[int, ...]


CASES = {
    "look-alikes": Case(
        "Look-alikes: another of its kind is taken for it, then leaves, and it is not found when it is back",
        drawn(seed=701, num_frames=44, num_objects=3, likeness=1.0, occlusion_frames=5),
        (0, 8, 14, 26, 34, 43),
    ),
    "absent": Case(
        "Hidden for longer: its absence is seen, but it is not found when it is back",
        drawn(seed=706, num_frames=58, num_objects=1, occlusion_frames=12, occlusion_start=26),
        (0, 12, 21, 30, 45, 57),
    ),
    "thin": Case(
        "Thin parts: once the picture has been blurred, the gaps between the spokes stay filled",
        lambda: iter_plant(PlantConfig(scene="inspection", seed=5, num_frames=24, height_px=288)),
        (0, 4, 8, 13, 19, 23),
    ),
    "small": Case(
        "Small and fast (300 pixels): another beside it is followed, too",
        drawn(seed=702, num_frames=20, object_height=0.08, speed=6, occlusion="none", camera_motion=2),
        (0, 2, 5, 10, 15, 19),
    ),
}


@dataclass(frozen=True)
class Seen:
    """A frame, `(H, W, 3)`, and two masks `(H, W)` bool: the truth and what was found."""

    index: int
    rgb: NDArray[np.uint8]
    truth: NDArray[np.bool_]
    found: NDArray[np.bool_]

    @property
    def caption(self) -> str:
        """J; where the object is not to be seen, what was found nevertheless."""
        found = int(self.found.sum())
        if not self.truth.any():
            return f"{self.index}: absent, {f'{found} pixels found' if found else 'nothing found'}"
        j = f"J {100 * float(region_similarity(self.found, self.truth)):.0f}"
        return f"{self.index}: {j}" if found else f"{self.index}: {j}, nothing found"


def track(model: SAM2, case: Case) -> list[Seen]:
    """The frames that are shown; all of the clip are tracked up to the last of them."""
    tracker, kept = Tracker(model), []
    for frame in case.clip():
        truth = frame.visible == 1
        result = tracker.step(frame.rgb, [Prompt(1, mask=truth)] if frame.index == 0 else ())
        if frame.index in case.shown:
            kept.append(Seen(frame.index, frame.rgb, truth, result.masks[0]))
        if frame.index == max(case.shown):
            break
    return kept


def cut(seen: Sequence[Seen]) -> tuple[slice, slice]:
    """Rows and columns that hold truth and findings of all frames with a margin, in the picture's aspect."""
    height, width = seen[0].truth.shape
    rows, columns = np.nonzero(np.logical_or.reduce([part for one in seen for part in (one.truth, one.found)]))
    tall, wide = 1.3 * np.ptp(rows) / height, 1.3 * np.ptp(columns) / width
    share = float(np.clip(max(tall, wide), SMALLEST_CUT, 1.0))
    sides = round(share * height), round(share * width)
    centre = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    first = [
        int(np.clip(round(middle - side / 2), 0, whole - side))
        for middle, side, whole in zip(centre, sides, (height, width), strict=True)
    ]
    return slice(first[0], first[0] + sides[0]), slice(first[1], first[1] + sides[1])


def row_of(case: Case, seen: Sequence[Seen]) -> Image.Image:
    """Title and frames: findings filled, the truth's outline white."""
    window = cut(seen)
    sheet = contact_sheet(
        [one.rgb[window] for one in seen],
        [one.found[window].astype(np.uint8) for one in seen],
        columns=len(seen),
        captions=[one.caption for one in seen],
        truth=[one.truth[window].astype(np.uint8) for one in seen],
        width_px=WIDTH_PX,
    )
    row = Image.new("RGB", (WIDTH_PX, sheet.height + TITLE_PX), "white")
    ImageDraw.Draw(row).text((2, 4), case.title, font=ImageFont.load_default(size=20), fill="black")
    row.paste(sheet, (0, TITLE_PX))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"rows: {', '.join(CASES)}")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/failures.jpg", metavar="FILE")
    given = parser.parse_args()
    try:
        if unknown := set(given.only or ()) - CASES.keys():
            raise SettingError(f"there is no row {min(unknown)!r}", f"there are: {', '.join(CASES)}")
        model = load_model(given.model, dtype=torch.float32)
        rows = []
        for name in tqdm(given.only or list(CASES), unit="row", disable=None):
            seen = track(model, CASES[name])
            print(f"{name}: {'; '.join(one.caption for one in seen)}", flush=True)
            rows.append(row_of(CASES[name], seen))
        sheet = Image.new("RGB", (WIDTH_PX, sum(row.height for row in rows)), "white")
        for number, row in enumerate(rows):
            sheet.paste(row, (0, sum(before.height for before in rows[:number])))
        with writing(given.out):
            given.out.write_bytes(small_jpeg(sheet))
        print(f"wrote {given.out} ({given.out.stat().st_size / 1e3:.0f} kB)")
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
