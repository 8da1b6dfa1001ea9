"""Teach the compact model what is marked on the first frame, then follow it.

python examples/adapt_to_a_scene.py [VIDEO MASK.png]
"""

import sys
from itertools import islice

import numpy as np

from maskscope import Prompt, Tracker, adapt, load_model, open_video
from maskscope.assets import demo_clip
from maskscope.data.label_maps import object_labels
from maskscope.data.mask_files import read_mask


def main(arguments: list[str]) -> None:
    if arguments:
        video, labels = open_video(arguments[0]), np.asarray(read_mask(arguments[1]), np.uint8)
    else:
        clip = demo_clip()
        video, labels = open_video(clip.video_path), clip.masks[0]

    model = load_model(image_size=(192, 320))  # small, so that this takes seconds; leave it out for real use
    adapted = adapt(model, video[0], labels)
    assert adapted is not None  # it is None where `stop` ended it
    print(f"mean J on made-up motion: {adapted.before:.2f} before, {adapted.after:.2f} after")

    tracker = Tracker(adapted.model)
    prompts = [Prompt(i, mask=labels == i) for i in object_labels(labels)]
    for frame in islice(video, 20):
        result = tracker.step(frame.rgb, prompts if frame.index == 0 else [])
    print(f"frame 19: {[int(mask.sum()) for mask in result.masks]} pixels")


if __name__ == "__main__":
    main(sys.argv[1:])
