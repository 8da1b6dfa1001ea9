"""How fast: maskscope against `transformers` on the same weights and frames, in one process, frame by frame in turn.

    python benchmarks/tracking.py                                   # stand-in weights, the bundled clip
    python benchmarks/tracking.py --weights FILE.pt --frames DIR    # a released checkpoint on a folder of frames

Every frame is tracked by each contender before the next frame begins, so a drift of the machine's speed hits all alike.
Reported is the steady state (memory full): seconds a frame, median and range, and the ratio to `transformers` frame by
frame. Masks are compared too: float32 with `transformers`, bfloat16 with float32. With --check, the exit code is 1 when
a figure falls short of what is promised.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from _table import command_line
from maskscope.data.video import open_video
from maskscope.model import PRESETS, SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.keymap import from_ours
from maskscope.tracking.picture import frame_tensor, mask_tensor
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker

MEMORY_FULL = 7  # frames after the prompt from which on memory has its full size
PRESET = "sam2.1-hiera-tiny"

LEAST_TIMES_AS_FAST = {"maskscope float32": 1.6, "maskscope bfloat16": 3.0}  # as transformers, median
MOST_LOGIT_DIFFERENCE = 0.02  # float32 to transformers
LEAST_IOU = 0.99  # bfloat16 to float32, of the worst frame

Step = Callable[[int], np.ndarray]  # frame number -> (256, 256) logits


def stand_in(seed: int = 0) -> SAM2:
    """The released tiny model with seeded weights, damped so that masks are neither empty nor full."""
    torch.manual_seed(seed)
    model = SAM2(PRESETS[PRESET])
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.ndim > 1 and "position" not in name:
                tensor.normal_(std=0.7 / np.sqrt(tensor[0].numel()) if tensor.shape[0] > 1 else 0.5)
        model.mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(5.0)
    return model.eval()


def ours(model: SAM2, dtype: torch.dtype, frames: list[np.ndarray], mask: np.ndarray) -> Step:
    """Our streaming tracker in `dtype`."""
    own = SAM2(model.config).eval()
    own.load_state_dict(model.state_dict())
    tracker = Tracker(own.set_precision(dtype))

    def step(index: int) -> np.ndarray:
        result: FrameResult = tracker.step(frames[index], [Prompt(1, mask=mask)] if index == 0 else ())
        return result.objects[1].mask_logits_hw.float().numpy()

    return step


def theirs(model: SAM2, frames: list[np.ndarray], mask: np.ndarray) -> Step:
    """`transformers` in float32, its default attention, streaming. Its frames are prepared beforehand, ours are not."""
    from transformers import Sam2VideoConfig, Sam2VideoModel
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    reference = Sam2VideoModel(Sam2VideoConfig()).eval()
    reference.load_state_dict(from_ours(model.state_dict(), "transformers"), strict=True)
    size, cpu = model.config.image_size, torch.device("cpu")
    pixels = [frame_tensor(frame, size, cpu, torch.float32) for frame in frames]
    height, width = frames[0].shape[:2]
    session = Sam2VideoInferenceSession(video_height=height, video_width=width, dtype=torch.float32)
    session.add_mask_inputs(session.obj_id_to_idx(1), 0, mask_tensor(mask, size, cpu, torch.float32))
    session.obj_with_new_inputs = [1]

    @torch.inference_mode()
    def step(index: int) -> np.ndarray:
        return reference(inference_session=session, frame=pixels[index]).pred_masks[0, 0].numpy()

    return step


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures of logits."""
    union = np.logical_or(a > 0, b > 0).sum()
    return float(np.logical_and(a > 0, b > 0).sum() / union) if union else 1.0


def read_frames(folder: Path | None, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames and the first frame's mask: of a folder (a box in its middle), or of the bundled clip."""
    if folder is not None:
        frames = [frame.rgb for frame in open_video(folder).frames(0, count)]
        mask = np.zeros(frames[0].shape[:2], dtype=bool)
        h, w = mask.shape
        mask[h // 4 : 3 * h // 4, w // 4 : 3 * w // 4] = True
        return frames, mask
    from maskscope.assets import demo_clip

    clip = demo_clip()
    return [frame.rgb for frame in open_video(clip.video_path).frames(0, count)], clip.masks[0] == clip.object_ids[0]


def shortfalls(times_as_fast: dict[str, float], worst_logit_difference: float, lowest_iou: float) -> list[str]:
    """What is below what is promised, one line each; not a number is below."""
    found = [
        f"{name} is {times_as_fast[name]:.2f} times as fast as transformers, expected at least {least}"
        for name, least in LEAST_TIMES_AS_FAST.items()
        if not times_as_fast[name] >= least
    ]
    if not worst_logit_difference <= MOST_LOGIT_DIFFERENCE:
        found.append(f"float32 logits differ by {worst_logit_difference:.4f}, expected at most {MOST_LOGIT_DIFFERENCE}")
    if not lowest_iou >= LEAST_IOU:
        found.append(f"bfloat16 masks have IoU {lowest_iou:.4f} to float32, expected at least {LEAST_IOU}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="released checkpoint of the tiny model, name or file; default: stand-in")
    parser.add_argument("--frames", type=Path, help="folder of frames; default: the bundled clip")
    parser.add_argument("--mask", type=Path, help="mask of the first frame")
    parser.add_argument("--count", type=int, default=16, help="frames to track")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--check", action="store_true", help="exit code 1 short of the promised speed or agreement")
    arguments = parser.parse_args()
    if arguments.count <= MEMORY_FULL + 1:
        parser.error(f"--count must be more than {MEMORY_FULL + 1}, for memory to be full")

    frames, mask = read_frames(arguments.frames, arguments.count)
    if arguments.mask is not None:
        mask = np.asarray(Image.open(arguments.mask)) > 0
    model = load_model(arguments.weights, device="cpu") if arguments.weights else stand_in()
    contenders = {
        "transformers float32": theirs(model, frames, mask),
        "maskscope float32": ours(model, torch.float32, frames, mask),
        "maskscope bfloat16": ours(model, torch.bfloat16, frames, mask),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    agreement: dict[str, list[float]] = {"float32 to transformers": [], "bfloat16 to float32": []}
    differences: list[float] = []
    for index in range(len(frames)):
        logits = {}
        for name, step in contenders.items():
            start = time.perf_counter()
            logits[name] = step(index)
            seconds[name].append(time.perf_counter() - start)
        reference, fine, coarse = logits.values()
        agreement["float32 to transformers"].append(iou(fine, reference))
        agreement["bfloat16 to float32"].append(iou(coarse, fine))
        differences.append(float(np.abs(fine - reference).max()))
        print(f"frame {index}: " + ", ".join(f"{n} {s[-1]:.2f} s" for n, s in seconds.items()), file=sys.stderr)

    worst = float(np.max(differences))  # unlike max, not a number if one of them is none
    steady = {name: times[MEMORY_FULL + 1 :] for name, times in seconds.items()}
    base = steady["transformers float32"]
    record: dict[str, object] = {
        "command": command_line(),
        "model": PRESET,
        "frames": len(frames),
        "steady_frames": len(base),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "worst_logit_difference_to_transformers": worst,
        "lowest_iou": {name: min(values) for name, values in agreement.items()},
    }
    print(f"{'':24}{'s/frame':>9}{'min':>8}{'max':>8}{'times as fast':>15}{'min':>7}{'max':>7}")
    times_as_fast: dict[str, float] = {}
    for name, times in steady.items():
        ratios = [b / t for b, t in zip(base, times, strict=True)]
        row = {"median_s": statistics.median(times), "min_s": min(times), "max_s": max(times)}
        row |= {"ratio_median": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}
        record[name] = row
        times_as_fast[name] = row["ratio_median"]
        print(
            f"{name:24}{row['median_s']:9.2f}{row['min_s']:8.2f}{row['max_s']:8.2f}"
            f"{row['ratio_median']:15.2f}{row['ratio_min']:7.2f}{row['ratio_max']:7.2f}"
        )
    fine_iou = min(agreement["float32 to transformers"])
    print(f"float32: logits within {worst:.4f} of transformers, mask IoU at least {fine_iou:.4f}")
    coarse_iou = min(agreement["bfloat16 to float32"])
    print(f"bfloat16: mask IoU to float32 at least {coarse_iou:.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")
    below = shortfalls(times_as_fast, worst, coarse_iou) if arguments.check else []
    for line in below:
        print(f"falls short: {line}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
