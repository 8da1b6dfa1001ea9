"""From the decoder's candidates to each object's mask, as the objects' policies have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policy import DECIDED_LOGIT, Candidates, MemoryPolicy, Moment, Outcome
from maskscope.model import SAM2
from maskscope.model.mask_decoder import silence_absent
from maskscope.model.outputs import DecodedMasks, ImageFeatures
from maskscope.tracking.results import ObjectMasks


def candidates_of(
    decoded: DecodedMasks, image: ImageFeatures, frame_index: int, prompted: bool
) -> tuple[Candidates, ...]:
    """What each object's policy sees of b decoded objects."""
    ious, scores = decoded.predicted_iou_bm.tolist(), decoded.object_score_logits_b.tolist()
    return tuple(
        Candidates(frame_index, masks, tuple(iou), score, image.embedding_bchw[0], prompted)
        for masks, iou, score in zip(decoded.mask_logits_bmhw, ious, scores, strict=True)
    )


def choose(
    candidates: Sequence[Candidates],
    policies: Sequence[MemoryPolicy],
    banks: Sequence[MemoryBank],
    moments: Sequence[Moment],
) -> tuple[list[int], dict[int, bool]]:
    """Index of each object's mask; and by row, whether the object is there, where the policy overrules the model."""
    chosen, overruled = [], {}
    rows = zip(candidates, policies, banks, moments, strict=True)
    for row, (seen, policy, bank, moment) in enumerate(rows):
        index = policy.choose_mask(seen, bank, moment) if len(seen.predicted_iou_m) > 1 else 0
        chosen.append(index)
        if not seen.prompted:
            believed = policy.believe(seen, index, bank, moment)
            if believed != (seen.object_score_logit > 0):
                overruled[row] = believed
    return chosen, overruled


def settle(decoded: DecodedMasks, overruled: Mapping[int, bool]) -> DecodedMasks:
    """Candidates with the last word on who is there: absent objects are silenced, as `SAM2.decode_masks` does."""
    scores = decoded.object_score_logits_b
    if overruled:
        scores = scores.clone()
        for row, believed in overruled.items():
            scores[row] = DECIDED_LOGIT if believed else -DECIDED_LOGIT
    return replace(
        decoded, mask_logits_bmhw=silence_absent(decoded.mask_logits_bmhw, scores), object_score_logits_b=scores
    )


def point(model: SAM2, decoded: DecodedMasks, chosen: Sequence[int]) -> torch.Tensor:
    """Pointers (b, c) of the chosen candidates."""
    rows = torch.arange(len(chosen), device=decoded.output_tokens_bmc.device)
    tokens = decoded.output_tokens_bmc[rows, torch.tensor(chosen, device=rows.device)]
    return model.point_to(tokens, decoded.object_score_logits_b)


def object_masks(decoded: DecodedMasks, row: int, chosen: int, pointer_c: torch.Tensor) -> ObjectMasks:
    """One object of a batch."""
    return ObjectMasks(
        mask_logits_hw=decoded.mask_logits_bmhw[row, chosen],
        predicted_iou=float(decoded.predicted_iou_bm[row, chosen]),
        object_score_logit=float(decoded.object_score_logits_b[row]),
        candidate_logits_mhw=decoded.mask_logits_bmhw[row],
        candidate_iou_m=decoded.predicted_iou_bm[row],
        chosen=chosen,
        pointer_c=pointer_c,
    )


def as_remembered(memory: FrameMemory) -> ObjectMasks:
    """What was said or found of a frame, once more; of the candidates only the chosen one is remembered."""
    assert memory.mask_logits_hw is not None
    return ObjectMasks(
        mask_logits_hw=memory.mask_logits_hw,
        predicted_iou=memory.summary.predicted_iou,
        object_score_logit=memory.summary.object_score_logit,
        candidate_logits_mhw=memory.mask_logits_hw[None],
        candidate_iou_m=memory.mask_logits_hw.new_tensor([memory.summary.predicted_iou]),
        chosen=0,
        pointer_c=memory.pointer_c,
    )


def outcome_of(
    masks: ObjectMasks, seen: Candidates | None, image: ImageFeatures, frame_index: int, prompted: bool
) -> Outcome:
    """What a policy is told of a frame that is about to be written.

    Args:
        masks: as they were answered.
        seen: the candidates as decoded; None where the user spoke, of which only the answer is known.
        image: features of the frame.
        frame_index: position in the video.
        prompted: the frame counts as prompted.
    """
    summary = FrameSummary(
        frame_index,
        prompted,
        masks.object_score_logit,
        masks.predicted_iou,
        float((masks.mask_logits_hw > 0).float().mean()),
    )
    if seen is None:
        ious = tuple(masks.candidate_iou_m.tolist())
        score = masks.object_score_logit
        seen = Candidates(frame_index, masks.candidate_logits_mhw, ious, score, image.embedding_bchw[0], prompted=True)
    return Outcome(summary, seen, masks.chosen)
