"""Prompt two objects in a file, propagate, correct one of them on a later frame, propagate again.

python examples/correct_a_video.py
"""

import numpy as np

from maskscope import Prompt, SessionOptions, VideoTracker, load_model, open_video
from maskscope.assets import demo_clip

LENGTH, CORRECTED = 12, 6


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def main() -> None:
    clip = demo_clip()
    options = SessionOptions(keep_all=True, corrections_are_prompts=True)
    tracker = VideoTracker(load_model(), open_video(clip.video_path), options=options)

    first, second = clip.object_ids[:2]
    tracker.prompt(0, [Prompt(first, mask=clip.masks[0] == first), Prompt(second, mask=clip.masks[0] == second)])
    before = {result.frame_index: result.masks[0] for result in tracker.propagate(max_frames=LENGTH - 1)}

    tracker.prompt(CORRECTED, [Prompt(first, mask=clip.masks[CORRECTED] == first)])
    after = {result.frame_index: result.masks[0] for result in tracker.propagate(max_frames=LENGTH - 1)}

    for index in range(LENGTH):
        truth = clip.masks[index] == first
        print(f"frame {index:3d}  IoU {iou(before[index], truth):.3f} -> {iou(after[index], truth):.3f}")


if __name__ == "__main__":
    main()
