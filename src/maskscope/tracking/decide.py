"""From the decoder's candidates to each object's mask, as the objects' policies have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policy import DECIDED_LOGIT, Branch, Branching, Candidates, MemoryPolicy, Moment, Outcome
from maskscope.model import SAM2
from maskscope.model.mask_decoder import silence_absent
from maskscope.model.outputs import DecodedMasks, ImageFeatures
from maskscope.tracking.results import ObjectMasks

Row = tuple[int, int]  # object id, and which of its pathways, the best first


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Pathways of objects that went through the model as one batch.

    Attributes:
        rows: whose, in the order of the batch.
        decoded: as decoded, absent objects not silenced.
        seen: the same, for the policies.
    """

    rows: tuple[Row, ...]
    decoded: DecodedMasks
    seen: tuple[Candidates, ...]

    @classmethod
    def of(
        cls, rows: Sequence[Row], decoded: DecodedMasks, image: ImageFeatures, frame_index: int, prompted: bool = False
    ) -> Group:
        """Candidates for each row's policy; `prompted` where they answer what the user said."""
        ious, scores = decoded.predicted_iou_bm.tolist(), decoded.object_score_logits_b.tolist()
        seen = tuple(
            Candidates(frame_index, masks, tuple(iou), score, image.embedding_bchw[0], prompted)
            for masks, iou, score in zip(decoded.mask_logits_bmhw, ious, scores, strict=True)
        )
        return cls(tuple(rows), decoded, seen)

    def picks(self, branches: Mapping[int, Sequence[Branch]]) -> list[Pick]:
        """What of this group goes on, given the branches of each object."""
        return list(self._picks(branches))

    def _picks(self, branches: Mapping[int, Sequence[Branch]]) -> Iterator[Pick]:
        for index, (object_id, path) in enumerate(self.rows):
            for rank, branch in enumerate(branches[object_id]):
                if branch.path == path:
                    yield Pick((object_id, rank), index, branch, self.seen[index])


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """One candidate that goes on.

    Attributes:
        row: object id, and the rank of the branch.
        index: in the batch it comes from.
        branch: what was decided.
        seen: what it was chosen from.
    """

    row: Row
    index: int
    branch: Branch
    seen: Candidates


def branches_of(
    policy: MemoryPolicy, seen: Sequence[Candidates], banks: Sequence[MemoryBank], moment: Moment
) -> Sequence[Branch]:
    """What an object's policy decides, best first. On a prompted frame there is one, and the user has spoken."""
    if isinstance(policy, Branching) and not seen[0].prompted:
        return policy.branch(seen, banks, moment)
    only, bank = seen[0], banks[0]
    chosen = policy.choose_mask(only, bank, moment) if len(only.predicted_iou_m) > 1 else 0
    visible = only.object_score_logit > 0 if only.prompted else policy.believe(only, chosen, bank, moment)
    return [Branch(0, chosen, visible)]


def answer(model: SAM2, group: Group, picks: Sequence[Pick]) -> list[ObjectMasks]:
    """Masks, scores and pointers of what goes on; objects not there are silenced, as `SAM2.decode_masks` does."""
    decoded = _rows(group.decoded, [pick.index for pick in picks])
    scores = decoded.object_score_logits_b
    overruled = [n for n, p in enumerate(picks) if p.branch.visible != (p.seen.object_score_logit > 0)]
    if overruled:
        scores = scores.clone()
        for n in overruled:
            scores[n] = DECIDED_LOGIT if picks[n].branch.visible else -DECIDED_LOGIT
    decoded = replace(
        decoded, mask_logits_bmhw=silence_absent(decoded.mask_logits_bmhw, scores), object_score_logits_b=scores
    )
    chosen = [pick.branch.candidate for pick in picks]
    rows = torch.arange(len(picks), device=scores.device)
    tokens = decoded.output_tokens_bmc[rows, torch.tensor(chosen, device=rows.device)]
    pointers = model.point_to(tokens, scores)
    return [object_masks(decoded, n, chosen[n], pointers[n]) for n in range(len(picks))]


def _rows(decoded: DecodedMasks, wanted: list[int]) -> DecodedMasks:
    """A batch of those rows; itself where they are all of it."""
    if wanted == list(range(len(decoded.object_score_logits_b))):
        return decoded
    return DecodedMasks(*(getattr(decoded, part.name)[wanted] for part in fields(decoded)))


def object_masks(decoded: DecodedMasks, row: int, chosen: int, pointer_c: Tensor) -> ObjectMasks:
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
