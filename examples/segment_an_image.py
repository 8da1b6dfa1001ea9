"""Segment one object of one image from a box, without any video.

python examples/segment_an_image.py [IMAGE X0 Y0 X1 Y1]
"""

import sys

import numpy as np
from PIL import Image

from maskscope import ImagePredictor, load_model, open_video
from maskscope.assets import demo_clip


def main(arguments: list[str]) -> None:
    if arguments:
        image = np.asarray(Image.open(arguments[0]).convert("RGB"))
        x0, y0, x1, y1 = (float(side) for side in arguments[1:5])
    else:
        clip = demo_clip()
        image = open_video(clip.video_path).frame(0).rgb
        rows, columns = np.nonzero(clip.masks[0] == clip.object_ids[0])
        x0, y0, x1, y1 = float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)

    predictor = ImagePredictor(load_model())
    predictor.set_image(image)
    answer = predictor.predict(box_xyxy_px=(x0, y0, x1, y1))
    for mask, score in zip(answer.masks, answer.predicted_iou, strict=True):
        print(f"{int(mask.sum()):7d} pixels, predicted IoU {score:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
