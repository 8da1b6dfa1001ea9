"""What `maskscope adapt` makes of one frame, as a picture: the frame, and clips that are made of it.

    python benchmarks/frame_clips.py [--out FILE]

The frame is the first of the bundled clip; what is followed in each clip is filled.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from contact_sheets import ROOT, WIDTH_PX, small_jpeg
from maskscope.assets import demo_clip
from maskscope.data.output import writing
from maskscope.data.video import open_video
from maskscope.report.contact_sheet import contact_sheet
from maskscope.training.frame_clips import FrameClips

SIZE = (288, 512)
SHOWN = (0, 3, 5)  # numbers of clips
FRAMES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "adapt.jpg", metavar="FILE")
    options = parser.parse_args()
    bundled = demo_clip()
    clips = FrameClips(open_video(bundled.video_path)[0], bundled.masks[0])
    frames, masks, captions = [], [], []
    for number in SHOWN:
        clip = clips.sample(number, FRAMES, SIZE)
        frames += list(clip.frames)
        masks += [mask.astype(np.uint8) for mask in clip.masks]
        captions += [f"clip {number}, {clip.kind}: frame {t}" for t in range(FRAMES)]
    sheet = contact_sheet(frames, masks, columns=FRAMES, captions=captions, width_px=WIDTH_PX)
    with writing(options.out):
        options.out.write_bytes(small_jpeg(sheet))
    print(options.out)


if __name__ == "__main__":
    main()
