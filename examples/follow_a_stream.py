"""Follow one object through a stream, one frame at a time, in constant memory.

    python examples/follow_a_stream.py [VIDEO X Y]

VIDEO may be a file, a folder of pictures, a URL or camera:0; X, Y is a point on the object in the first frame.
"""

import sys

import numpy as np

from maskscope import Prompt, Tracker, load_model, open_video
from maskscope.assets import demo_clip


def main(arguments: list[str]) -> None:
    if arguments:
        video, point = open_video(arguments[0]), (float(arguments[1]), float(arguments[2]))
    else:
        clip = demo_clip()
        rows, columns = np.nonzero(clip.masks[0] == clip.object_ids[0])
        middle = len(rows) // 2
        video, point = open_video(clip.video_path), (float(columns[middle]), float(rows[middle]))

    tracker = Tracker(load_model())
    for frame in video:
        prompts = [Prompt(object_id=1, points_xy_px=[point])] if frame.index == 0 else []
        result = tracker.step(frame.rgb, prompts)
        visible = "visible" if result.object_score_logits[0] > 0 else "hidden "
        print(f"frame {frame.index:4d}  {visible}  {int(result.masks[0].sum()):7d} pixels")


if __name__ == "__main__":
    main(sys.argv[1:])
