"""J and F on held-out sequences while training: the first mask given, memory of the stock policy, no tracker needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from maskscope.evaluate.protocol import evaluate_sequence
from maskscope.model.mask_decoder import silence_absent
from maskscope.model.precision import preferred_dtype
from maskscope.model.sam2 import ADOPTED_BIAS, ADOPTED_SCALE, SAM2
from maskscope.training.batches import normalise
from maskscope.training.corpus import Corpus
from maskscope.training.store import Pixels
from maskscope.training.unroll import ClipMemory


@torch.inference_mode()
def follow(
    model: SAM2, frames_thwc: Pixels, first_mask_hw: NDArray[np.bool_], size_hw: tuple[int, int]
) -> Iterator[NDArray[np.bool_]]:
    """Masks of one object through a sequence, the first as given.

    Args:
        frames_thwc: uint8 RGB of any size.
        size_hw: the model's input in pixels.
    """
    memory, fast = ClipMemory(), preferred_dtype(model.device) == torch.bfloat16
    for t, frame in enumerate(frames_thwc):
        small = cv2.resize(frame, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_AREA)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=fast):
            image = model.encode_image(normalise(torch.from_numpy(np.asarray(small))[None].to(model.device)))
            if t == 0:
                mask = torch.from_numpy(first_mask_hw.astype(np.float32))[None, None].to(model.device)
                mask = F.interpolate(mask, size=size_hw, mode="bilinear", antialias=True, align_corners=False).round()
                adopted, pointer = model.adopt_mask(image, mask)
                score, chosen = adopted.object_score_logits_b, mask * ADOPTED_SCALE + ADOPTED_BIAS
            else:
                conditioned = model.condition_on_memory(image, memory.tokens(model, t))
                empty = model.encode_prompts(None, None, None, batch=1, image_size=size_hw)
                decoded = model.decode_candidates(conditioned, empty, True)
                best, score = decoded.predicted_iou_bm.argmax(1), decoded.object_score_logits_b
                chosen = silence_absent(decoded.mask_logits_bmhw[:, best], score)
                pointer = model.point_to(decoded.output_tokens_bmc[:, int(best)], score)
            memory.remember(t, model.encode_memory(image, chosen, score, binarize=t == 0), pointer)
        if t == 0:
            yield first_mask_hw
            continue
        logits = F.interpolate(chosen.float(), size=frame.shape[:2], mode="bilinear", align_corners=False)
        yield (logits[0, 0] > 0).cpu().numpy()


def validate(model: SAM2, corpus: Corpus, sequences: Sequence[str], size_hw: tuple[int, int]) -> dict[str, float]:
    """J&F (0..1) of each sequence by name, and their mean as "mean"; all labels together count as one object."""
    was_training = model.training
    model.eval()
    scores = {}
    for name in sequences:
        frames, truth = corpus.store[f"{name}/frames"], corpus.store[f"{name}/masks"] > 0
        scores[name.rsplit("/", 1)[-1]] = evaluate_sequence(follow(model, frames, truth[0], size_hw), truth).j_and_f
    model.train(was_training)
    return {**scores, "mean": float(np.mean(list(scores.values())))}
