"""The state of one video: objects, their clicks and memories, and how a frame is prompted or tracked.

A session never reads frames; whoever owns the frames (`Tracker` for streams, `VideoTracker` for files) hands it their
features. Source of the order of events: facebookresearch/sam2 (commit 2b90b9f) `sam2_video_predictor.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from maskscope.errors import PromptError
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies import PolicyFactory
from maskscope.memory.policy import Candidates, MemoryPolicy, Moment, Selection
from maskscope.model import SAM2
from maskscope.model.outputs import ConditionedFeatures, DecodedMasks, ImageFeatures
from maskscope.stages import Stage
from maskscope.tracking.observer import Observation, Observer
from maskscope.tracking.picture import mask_tensor
from maskscope.tracking.prompts import ClickSet, Prompt
from maskscope.tracking.results import FrameResult, ObjectMasks

CORRECTION_LOGIT_LIMIT = 32.0  # a correction starts from the earlier mask, clamped to this
FeaturesOf = Callable[[int], ImageFeatures]


@dataclass(slots=True)
class ObjectTrack:
    """One object: who decides about its memory, the memory, and what the user said."""

    policy: MemoryPolicy
    bank: MemoryBank = field(default_factory=MemoryBank)
    clicks: dict[int, ClickSet] = field(default_factory=dict)
    directions: dict[int, bool] = field(default_factory=dict)  # frame tracked from memory -> backwards
    pending: dict[int, tuple[ObjectMasks, bool]] = field(default_factory=dict)  # spoken of, not yet in memory


@dataclass(frozen=True)
class SessionOptions:
    """How a session behaves.

    Attributes:
        num_frames: length of the video, None in a stream; short videos scale the pointers' time by it.
        non_overlapping: outputs give each pixel to one object; memory is not touched by it.
        corrections_are_prompts: a corrected frame counts as prompted (kept for ever, read always), as a user expects;
            the reference's default leaves it an ordinary tracked frame.
        keep_all: forget nothing, so that any earlier frame can be corrected.
        memory_dtype: of spatial memories at rest; the reference keeps bfloat16.
    """

    num_frames: int | None = None
    non_overlapping: bool = False
    corrections_are_prompts: bool = False
    keep_all: bool = False
    memory_dtype: torch.dtype = torch.bfloat16


class Session:
    """Objects and memories of one video of `video_size` (H, W) pixels, seen by the model at `input_size`."""

    def __init__(
        self,
        model: SAM2,
        policy: PolicyFactory,
        video_size: tuple[int, int],
        input_size: tuple[int, int],
        options: SessionOptions,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.model, self.policy, self.options = model, policy, options
        self.video_size, self.input_size = video_size, input_size
        self.observers = list(observers)
        self.tracks: dict[int, ObjectTrack] = {}

    # -- objects --------------------------------------------------------------------------------------------------

    def remove(self, object_id: int) -> None:
        """Forget an object.

        Raises:
            PromptError: there is none of that id.
        """
        if object_id not in self.tracks:
            known = ", ".join(map(str, self.tracks)) or "none"
            raise PromptError(f"there is no object {object_id}", f"known objects: {known}")
        del self.tracks[object_id]

    def prompted_frames(self) -> list[int]:
        """Frames the user has spoken of, in order."""
        frames = {t for track in self.tracks.values() for t in (*track.bank.prompted, *track.pending)}
        return sorted(frames)

    # -- prompting ------------------------------------------------------------------------------------------------

    def prompt(self, frame_index: int, image: ImageFeatures, prompts: Sequence[Prompt]) -> FrameResult:
        """Take prompts for one frame and answer at once; they enter memory with the next `commit`.

        A frame that was tracked from memory is corrected with memory; any other is prompted without, also when it was
        prompted before: that refines the prompt, which stays one. (So does the reference until its first propagation;
        after it, it answers with memory and then drops the refinement.)

        Raises:
            PromptError: a prompt that cannot mean an object on this frame; nothing is changed then.
        """
        ids = [prompt.object_id for prompt in prompts]
        if len(set(ids)) != len(ids):
            raise PromptError(f"frame {frame_index} has two prompts for one object: {ids}", "merge them into one")
        for prompt in prompts:
            prompt.check(*self.video_size)
        clicks = {prompt.object_id: self._clicks(frame_index, prompt) for prompt in prompts if prompt.mask is None}
        self._observe("image_embedding", frame_index, (), image.embedding_bchw)
        for prompt in prompts:
            known = self.tracks.get(prompt.object_id)
            track = known or ObjectTrack(self.policy(self.model.config.memory))
            masks = self._adopt(frame_index, image, track, prompt) if prompt.mask is not None else None
            if masks is None:
                masks = self._click(frame_index, image, track, prompt.object_id, clicks[prompt.object_id])
            first = frame_index not in track.directions
            track.pending[frame_index] = (masks, first or self.options.corrections_are_prompts)
            self.tracks[prompt.object_id] = track
        return self._result(frame_index, {i: self.tracks[i].pending[frame_index][0] for i in ids})

    def known(self, object_id: int, frame_index: int) -> ObjectMasks | None:
        """What was last said or found of an object on a frame; None where it was not, or is forgotten."""
        track = self.tracks.get(object_id)
        if track is None:
            return None
        if frame_index in track.pending:
            return track.pending[frame_index][0]
        memory = track.bank.get(frame_index)
        return None if memory is None or memory.mask_logits_hw is None else _as_remembered(memory)

    def _clicks(self, frame_index: int, prompt: Prompt) -> ClickSet:
        track = self.tracks.get(prompt.object_id)
        return ClickSet.of(prompt, None if track is None else track.clicks.get(frame_index))

    def _adopt(self, frame_index: int, image: ImageFeatures, track: ObjectTrack, prompt: Prompt) -> ObjectMasks:
        assert prompt.mask is not None
        track.clicks.pop(frame_index, None)
        mask = mask_tensor(prompt.mask, self.input_size, self.model.device, self.model.fine_dtype)
        decoded, pointer = self.model.adopt_mask(image, mask)
        self._observe("prompt_attended", frame_index, (prompt.object_id,), decoded.attended_bchw)
        self._observe("object_pointer", frame_index, (prompt.object_id,), pointer)
        return _object_masks(decoded, 0, 0, pointer[0])

    def _click(
        self, frame_index: int, image: ImageFeatures, track: ObjectTrack, object_id: int, clicks: ClickSet
    ) -> ObjectMasks:
        known = self.known(object_id, frame_index)  # a correction starts from it
        earlier = None if known is None else known.mask_logits_hw
        ids = (object_id,)
        if frame_index in track.directions:
            moment = Moment(frame_index, track.directions[frame_index], self.options.num_frames)
            selection = track.policy.select(track.bank, moment)
            conditioned = self._condition(image, [track], [selection])
        else:
            conditioned = self.model.condition_on_memory(image, None)
        scale = torch.tensor((self.input_size[1] / self.video_size[1], self.input_size[0] / self.video_size[0]))
        points = torch.from_numpy(clicks.points_nxy_px) * scale
        tokens = self.model.encode_prompts(
            points[None].to(self.model.device, self.model.fine_dtype),
            torch.from_numpy(clicks.labels_n)[None].to(self.model.device),
            None if earlier is None else earlier.clamp(-CORRECTION_LOGIT_LIMIT, CORRECTION_LOGIT_LIMIT)[None, None],
            batch=1,
            image_size=self.input_size,
        )
        multimask = len(clicks.labels_n) <= self.model.config.multimask_max_points
        self._observe("memory_conditioned", frame_index, ids, conditioned.embedding_bchw)
        decoded = self.model.decode_masks(conditioned, tokens, multimask)
        masks = self._choose(frame_index, ids, [track], decoded)[0]
        track.clicks[frame_index] = clicks
        return masks

    # -- memory ---------------------------------------------------------------------------------------------------

    def commit(self, features_of: FeaturesOf) -> None:
        """Write all prompted frames to memory. `features_of(frame_index)` gives the frame's image features."""
        frames = sorted({t for track in self.tracks.values() for t in track.pending})
        for t in frames:
            ids = [i for i, track in self.tracks.items() if t in track.pending]
            spoken = [self.tracks[i].pending.pop(t) for i in ids]
            self._remember(t, features_of(t), ids, [m for m, _ in spoken], [prompted for _, prompted in spoken], True)

    def _remember(
        self,
        frame_index: int,
        image: ImageFeatures,
        ids: Sequence[int],
        masks: Sequence[ObjectMasks],
        prompted: Sequence[bool],
        binarize: bool,
    ) -> None:
        """Encode and store one frame of several objects as one batch."""
        summaries = [
            FrameSummary(
                frame_index, p, m.object_score_logit, m.predicted_iou, float((m.mask_logits_hw > 0).float().mean())
            )
            for p, m in zip(prompted, masks, strict=True)
        ]
        admitted = [
            spoken or self.tracks[i].policy.admit(summary, self.tracks[i].bank)
            for i, summary, spoken in zip(ids, summaries, [binarize] * len(ids), strict=True)
        ]
        chosen = [n for n, admit in enumerate(admitted) if admit]
        if not chosen:
            return
        logits = torch.stack([masks[n].mask_logits_hw for n in chosen])[:, None]
        scores = logits.new_tensor([masks[n].object_score_logit for n in chosen])
        binarize = binarize and self.model.config.memory.binarize_prompted_mask
        features = self.model.encode_memory(image, logits, scores, binarize)
        self._observe("memory_features", frame_index, tuple(ids[n] for n in chosen), features)
        stored = features.to(self.options.memory_dtype)
        for row, n in enumerate(chosen):
            memory = FrameMemory(summaries[n], masks[n].pointer_c, stored[row], masks[n].mask_logits_hw)
            self.tracks[ids[n]].bank.write(memory)

    def _condition(
        self, image: ImageFeatures, tracks: Sequence[ObjectTrack], selections: Sequence[Selection]
    ) -> ConditionedFeatures:
        """Memory attention for objects whose selections have the same number of memories and pointers."""
        if not selections[0].spatial and not selections[0].pointers:
            return self.model.condition_on_memory(image.expand(len(tracks)), None)
        spatial, pointers = [], []
        for track, selection in zip(tracks, selections, strict=True):
            frames = [track.bank.get(read.frame_index) for read in selection.spatial]
            spatial.append(
                torch.stack([m.features_khw for m in frames if m is not None and m.features_khw is not None])
            )
            pointed = [track.bank.get(read.frame_index) for read in selection.pointers]
            pointers.append(torch.stack([m.pointer_c for m in pointed if m is not None]) if pointed else None)
        dim, dtype, device = self.model.config.dim, self.model.fine_dtype, self.model.device
        tokens = self.model.lay_out_memory(
            torch.stack(spatial).to(device, dtype),
            [[read.slot for read in selection.spatial] for selection in selections],
            torch.stack([torch.zeros(0, dim, device=device, dtype=dtype) if p is None else p for p in pointers]),
            torch.tensor(
                [[read.distance for read in selection.pointers] for selection in selections], device=device, dtype=dtype
            ).reshape(len(tracks), -1),
            selections[0].max_pointers,
        )
        return self.model.condition_on_memory(image.expand(len(tracks)), tokens)

    # -- tracking -------------------------------------------------------------------------------------------------

    def advance(
        self, frame_index: int, image: ImageFeatures, reverse: bool, pivots: Collection[int] = ()
    ) -> FrameResult:
        """Track every object on one frame; objects prompted on it keep what was said.

        Raises:
            PromptError: an object has been prompted and not committed.
        """
        if any(track.pending for track in self.tracks.values()):
            raise PromptError("prompts are waiting to enter memory", "call commit before advancing")
        moment = Moment(frame_index, reverse, self.options.num_frames)
        results: dict[int, ObjectMasks] = {}
        groups: dict[tuple[int, int], list[int]] = {}
        selections: dict[int, Selection] = {}
        for i, track in self.tracks.items():
            if frame_index in track.bank.prompted:
                results[i] = _as_remembered(track.bank.prompted[frame_index])
            else:
                selections[i] = track.policy.select(track.bank, moment)
                groups.setdefault((len(selections[i].spatial), len(selections[i].pointers)), []).append(i)
        self._observe("image_embedding", frame_index, (), image.embedding_bchw)
        for ids in groups.values():
            results |= self._track(frame_index, image, ids, [selections[i] for i in ids])
        tracked = [i for i in self.tracks if i in selections]
        if tracked:
            masks = [results[i] for i in tracked]
            self._remember(frame_index, image, tracked, masks, [False] * len(tracked), False)
        for i, track in self.tracks.items():
            if i in selections:
                track.directions[frame_index] = reverse
            if not self.options.keep_all:
                track.bank.apply(track.policy.evict(track.bank, moment, pivots))
                self._forget_clicks(track, frame_index)
        return self._result(frame_index, {i: results[i] for i in self.tracks})

    def _track(
        self, frame_index: int, image: ImageFeatures, ids: Sequence[int], selections: Sequence[Selection]
    ) -> dict[int, ObjectMasks]:
        tracks = [self.tracks[i] for i in ids]
        conditioned = self._condition(image, tracks, selections)
        self._observe("memory_conditioned", frame_index, tuple(ids), conditioned.embedding_bchw)
        prompt = self.model.encode_prompts(None, None, None, batch=len(ids), image_size=self.input_size)
        decoded = self.model.decode_masks(conditioned, prompt, multimask=True)
        return dict(zip(ids, self._choose(frame_index, ids, tracks, decoded), strict=True))

    def _choose(
        self, frame_index: int, ids: Sequence[int], tracks: Sequence[ObjectTrack], decoded: DecodedMasks
    ) -> list[ObjectMasks]:
        """The policy picks a mask for each object; its token becomes the pointer."""
        ious = decoded.predicted_iou_bm.tolist()
        scores = decoded.object_score_logits_b.tolist()
        chosen = [
            track.policy.choose_mask(Candidates(frame_index, decoded.mask_logits_bmhw[n], tuple(ious[n]), scores[n]))
            if len(ious[n]) > 1
            else 0
            for n, track in enumerate(tracks)
        ]
        rows = torch.arange(len(ids), device=decoded.output_tokens_bmc.device)
        tokens = decoded.output_tokens_bmc[rows, torch.tensor(chosen, device=rows.device)]
        pointers = self.model.point_to(tokens, decoded.object_score_logits_b)
        self._observe("prompt_attended", frame_index, tuple(ids), decoded.attended_bchw)
        self._observe("object_pointer", frame_index, tuple(ids), pointers)
        return [_object_masks(decoded, n, chosen[n], pointers[n]) for n in range(len(ids))]

    @staticmethod
    def _forget_clicks(track: ObjectTrack, frame_index: int) -> None:
        """Only frames still in memory, and the one at hand, can be corrected."""
        kept = {frame_index, *track.bank.prompted, *track.bank.tracked}
        track.directions = {t: backwards for t, backwards in track.directions.items() if t in kept}
        track.clicks = {t: clicks for t, clicks in track.clicks.items() if t in kept}

    def _result(self, frame_index: int, objects: dict[int, ObjectMasks]) -> FrameResult:
        return FrameResult(frame_index, objects, self.video_size, self.options.non_overlapping)

    def _observe(self, stage: Stage, frame_index: int, ids: tuple[int, ...], output: Tensor) -> None:
        for observer in self.observers:
            observer(Observation(stage, frame_index, tuple(ids), output))


def _object_masks(decoded: DecodedMasks, row: int, chosen: int, pointer_c: Tensor) -> ObjectMasks:
    return ObjectMasks(
        mask_logits_hw=decoded.mask_logits_bmhw[row, chosen],
        predicted_iou=float(decoded.predicted_iou_bm[row, chosen]),
        object_score_logit=float(decoded.object_score_logits_b[row]),
        candidate_logits_mhw=decoded.mask_logits_bmhw[row],
        candidate_iou_m=decoded.predicted_iou_bm[row],
        chosen=chosen,
        pointer_c=pointer_c,
    )


def _as_remembered(memory: FrameMemory) -> ObjectMasks:
    """What was said or found of a frame, once more."""
    assert memory.mask_logits_hw is not None
    iou = memory.mask_logits_hw.new_tensor([memory.summary.predicted_iou])
    return ObjectMasks(
        mask_logits_hw=memory.mask_logits_hw,
        predicted_iou=memory.summary.predicted_iou,
        object_score_logit=memory.summary.object_score_logit,
        candidate_logits_mhw=memory.mask_logits_hw[None],
        candidate_iou_m=iou,
        chosen=0,
        pointer_c=memory.pointer_c,
    )
