"""The state of one video: objects, their clicks and memories, and how a frame is prompted or tracked.

A session never reads frames; whoever owns the frames (`Tracker` for streams, `VideoTracker` for files) hands it their
features. Source of the order of events: facebookresearch/sam2 (commit 2b90b9f) `sam2_video_predictor.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from maskscope.errors import PromptError
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.memory.policies import PolicyFactory
from maskscope.memory.policy import Candidates, MemoryPolicy, Moment, Selection
from maskscope.model import SAM2
from maskscope.model.mask_decoder import upsample_logits
from maskscope.model.outputs import DecodedMasks, ImageFeatures
from maskscope.stages import Stage
from maskscope.tracking.holes import fill_holes
from maskscope.tracking.memory_access import Layout, layout_of, read_memories
from maskscope.tracking.observer import Observation, Observer
from maskscope.tracking.picture import mask_tensor
from maskscope.tracking.prompts import ClickSet, Prompt
from maskscope.tracking.results import FrameResult, ObjectMasks, keep_strongest

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
    """How a session behaves; the defaults are the reference's.

    Attributes:
        num_frames: length of the video, None in a stream; short videos scale the pointers' time by it.
        non_overlapping: outputs give each pixel to one object; memory is not touched by it.
        non_overlapping_memory: so do the masks that are written to memory.
        corrections_are_prompts: a corrected frame counts as prompted (kept for ever, read always), as a user expects;
            the reference's default leaves it an ordinary tracked frame.
        clear_around_prompts: a prompt drops the tracked memories that it could be read together with.
        fill_holes_px: holes of at most so many pixels (of the low-resolution mask) are filled in outputs and in the
            memory of prompted frames; the reference fills 8 where it runs on a GPU and 0 elsewhere.
        keep_all: forget nothing, so that any earlier frame can be corrected.
        memory_dtype: of spatial memories at rest.
    """

    num_frames: int | None = None
    non_overlapping: bool = False
    non_overlapping_memory: bool = False
    corrections_are_prompts: bool = False
    clear_around_prompts: bool = False
    fill_holes_px: int = 0
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

    def known(self, object_id: int, frame_index: int) -> ObjectMasks | None:
        """What was last said or found of an object on a frame; None where it was not, or is forgotten."""
        track = self.tracks.get(object_id)
        if track is None:
            return None
        if frame_index in track.pending:
            return track.pending[frame_index][0]
        memory = track.bank.get(frame_index)
        return None if memory is None or memory.mask_logits_hw is None else _as_remembered(memory)

    # -- prompting ------------------------------------------------------------------------------------------------

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Raise `PromptError` unless the prompts can mean objects on one frame of this video."""
        ids = [prompt.object_id for prompt in prompts]
        if len(set(ids)) != len(ids):
            raise PromptError(f"one frame has two prompts for one object: {ids}", "merge them into one")
        for prompt in prompts:
            prompt.check(*self.video_size)

    def prompt(self, frame_index: int, image: ImageFeatures, prompts: Sequence[Prompt]) -> FrameResult:
        """Take prompts for one frame and answer at once; they enter memory with the next `commit`.

        A frame that was tracked from memory is corrected with memory; any other is prompted without, also when it was
        prompted before: that refines the prompt, which stays one. (So does the reference until its first propagation;
        after it, it answers with memory and then drops the refinement.)

        Raises:
            PromptError: a prompt that cannot mean an object on this frame; nothing is changed then.
        """
        self.check(prompts)
        tracks = {p.object_id: self.tracks.get(p.object_id) or self._new_track() for p in prompts}
        by_mask = [prompt for prompt in prompts if prompt.mask is not None]
        by_click = {
            p.object_id: ClickSet.of(p, tracks[p.object_id].clicks.get(frame_index)) for p in prompts if p.mask is None
        }
        masks = [
            mask_tensor(p.mask, self.input_size, self.model.device, self.model.fine_dtype)
            for p in by_mask
            if p.mask is not None
        ]
        for prompt, mask in zip(by_mask, masks, strict=True):
            if not mask.any():
                height, width = self.input_size
                raise PromptError(
                    f"the mask of object {prompt.object_id} is so small that nothing is left of it at the model's "
                    f"input of {width} x {height}",
                    "give a box, or a larger image size",
                )

        self._observe("image_embedding", frame_index, (), image.embedding_bchw)
        answers: dict[int, ObjectMasks] = {}
        if by_mask:
            answers |= self._adopt(frame_index, image, [p.object_id for p in by_mask], torch.cat(masks))
        groups: dict[object, list[int]] = {}
        selections: dict[int, Selection] = {}
        for i, clicks in by_click.items():
            key: tuple[object, ...] = (len(clicks.labels_n), self.known(i, frame_index) is None)
            if frame_index in tracks[i].directions:
                moment = Moment(frame_index, tracks[i].directions[frame_index], self.options.num_frames)
                selections[i] = tracks[i].policy.select(tracks[i].bank, moment)
                key = (*key, layout_of(selections[i]))
            groups.setdefault(key, []).append(i)
        for ids in groups.values():
            answers |= self._click(frame_index, image, {i: tracks[i] for i in ids}, by_click, selections)

        self.tracks |= tracks
        for i, track in tracks.items():
            first = frame_index not in track.directions
            track.pending[frame_index] = (answers[i], first or self.options.corrections_are_prompts)
            track.clicks.pop(frame_index, None)
            if i in by_click:
                track.clicks[frame_index] = by_click[i]
        return self._result(frame_index, {i: answers[i] for i in tracks})

    def _new_track(self) -> ObjectTrack:
        return ObjectTrack(self.policy(self.model.config.memory))

    def _adopt(
        self, frame_index: int, image: ImageFeatures, ids: Sequence[int], masks_b1hw: Tensor
    ) -> dict[int, ObjectMasks]:
        decoded, pointers = self.model.adopt_mask(image.expand(len(ids)), masks_b1hw)
        self._observe("prompt_attended", frame_index, tuple(ids), decoded.attended_bchw)
        self._observe("object_pointer", frame_index, tuple(ids), pointers)
        return {i: _object_masks(decoded, n, 0, pointers[n]) for n, i in enumerate(ids)}

    def _click(
        self,
        frame_index: int,
        image: ImageFeatures,
        tracks: dict[int, ObjectTrack],
        clicks: dict[int, ClickSet],
        selections: dict[int, Selection],
    ) -> dict[int, ObjectMasks]:
        """Objects with equally many clicks, of which all or none are corrected, and read memories of one layout."""
        ids = tuple(tracks)
        chosen = [selections[i] for i in ids if i in selections]
        memory = read_memories(self.model, [track.bank for track in tracks.values()], chosen) if chosen else None
        conditioned = self.model.condition_on_memory(image.expand(len(ids)), memory)
        self._observe("memory_conditioned", frame_index, ids, conditioned.embedding_bchw)
        scale = torch.tensor((self.input_size[1] / self.video_size[1], self.input_size[0] / self.video_size[0]))
        points = torch.stack([torch.from_numpy(clicks[i].points_nxy_px) for i in ids]) * scale
        known = [self.known(i, frame_index) for i in ids]
        earlier = [
            k.mask_logits_hw.clamp(-CORRECTION_LOGIT_LIMIT, CORRECTION_LOGIT_LIMIT) for k in known if k is not None
        ]
        tokens = self.model.encode_prompts(
            points.to(self.model.device, self.model.fine_dtype),
            torch.stack([torch.from_numpy(clicks[i].labels_n) for i in ids]).to(self.model.device),
            torch.stack(earlier)[:, None] if earlier else None,
            batch=len(ids),
            image_size=self.input_size,
        )
        multimask = points.shape[1] <= self.model.config.multimask_max_points
        decoded = self.model.decode_masks(conditioned, tokens, multimask)
        return self._choose(frame_index, tracks, decoded)

    # -- memory ---------------------------------------------------------------------------------------------------

    def commit(self, features_of: FeaturesOf) -> None:
        """Write all prompted frames to memory. `features_of(frame_index)` gives the frame's image features."""
        frames = sorted({t for track in self.tracks.values() for t in track.pending})
        for t in frames:
            spoken = {i: track.pending[t] for i, track in self.tracks.items() if t in track.pending}
            image = features_of(t)
            for i in spoken:
                del self.tracks[i].pending[t]
            self._write(
                t, image, {i: masks for i, (masks, _) in spoken.items()}, {i: p for i, (_, p) in spoken.items()}
            )
            if self.options.clear_around_prompts:
                memory = self.model.config.memory
                reach = memory.temporal_stride * memory.num_frames
                for i in spoken:
                    tracked = self.tracks[i].bank.tracked
                    for near in [near for near in tracked if 0 < abs(near - t) <= reach]:
                        del tracked[near]

    def _write(
        self,
        frame_index: int,
        image: ImageFeatures,
        masks: dict[int, ObjectMasks],
        spoken: dict[int, bool] | None = None,
    ) -> None:
        """Encode and store one frame of several objects as one batch.

        `spoken` says of objects that the user spoke of whether the frame counts as prompted; None: a tracked frame,
        which the policy may refuse.
        """
        summaries = {
            i: FrameSummary(
                frame_index,
                spoken is not None and spoken[i],
                m.object_score_logit,
                m.predicted_iou,
                float((m.mask_logits_hw > 0).float().mean()),
            )
            for i, m in masks.items()
        }
        ids = [i for i in masks if spoken is not None or self.tracks[i].policy.admit(summaries[i], self.tracks[i].bank)]
        if not ids:
            return
        # as the reference: filled holes are remembered where the user spoke, and only there
        found = [masks[i].mask_logits_hw if spoken is not None else masks[i].chosen_logits_hw for i in ids]
        logits = torch.stack(found)[:, None]
        if self.options.non_overlapping_memory:
            logits = keep_strongest(upsample_logits(logits, self.input_size)[:, 0])[:, None]
        scores = logits.new_tensor([masks[i].object_score_logit for i in ids])
        binarize = spoken is not None and self.model.config.memory.binarize_prompted_mask
        features = self.model.encode_memory(image, logits, scores, binarize)
        self._observe("memory_features", frame_index, tuple(ids), features)
        for row, i in enumerate(ids):
            stored = features[row].to(self.options.memory_dtype, copy=True)  # not views: they would hold the batch
            memory = FrameMemory(summaries[i], masks[i].pointer_c.clone(), stored, masks[i].mask_logits_hw.clone())
            self.tracks[i].bank.write(memory)

    # -- tracking -------------------------------------------------------------------------------------------------

    def advance(
        self,
        frame_index: int,
        features_of: FeaturesOf,
        reverse: bool = False,
        pivots: Collection[int] = (),
    ) -> FrameResult:
        """Track every object on one frame; objects prompted on it keep what was said.

        Args:
            frame_index: position in the video.
            features_of: gives the frame's features; asked only if some object has to be tracked on it.
            reverse: going backwards.
            pivots: frames from which another propagation may still start.

        Raises:
            PromptError: an object has been prompted and not committed.
        """
        if any(track.pending for track in self.tracks.values()):
            raise PromptError("prompts are waiting to enter memory", "call commit before advance")
        moment = Moment(frame_index, reverse, self.options.num_frames)
        results: dict[int, ObjectMasks] = {}
        groups: dict[Layout, dict[int, Selection]] = {}
        for i, track in self.tracks.items():
            if frame_index in track.bank.prompted:
                results[i] = _as_remembered(track.bank.prompted[frame_index])
            else:
                selection = track.policy.select(track.bank, moment)
                groups.setdefault(layout_of(selection), {})[i] = selection
        if groups:
            image = features_of(frame_index)
            self._observe("image_embedding", frame_index, (), image.embedding_bchw)
            tracked: dict[int, ObjectMasks] = {}
            for selections in groups.values():
                tracked |= self._track(frame_index, image, selections)
            self._write(frame_index, image, {i: tracked[i] for i in self.tracks if i in tracked})
            results |= tracked
            for i in tracked:
                self.tracks[i].directions[frame_index] = reverse
        if not self.options.keep_all:
            for track in self.tracks.values():
                track.bank.apply(track.policy.evict(track.bank, moment, pivots))
                self._forget_clicks(track, frame_index)
        return self._result(frame_index, {i: results[i] for i in self.tracks})

    def _track(
        self, frame_index: int, image: ImageFeatures, selections: dict[int, Selection]
    ) -> dict[int, ObjectMasks]:
        tracks = {i: self.tracks[i] for i in selections}
        memory = read_memories(self.model, [track.bank for track in tracks.values()], list(selections.values()))
        conditioned = self.model.condition_on_memory(image.expand(len(tracks)), memory)
        self._observe("memory_conditioned", frame_index, tuple(tracks), conditioned.embedding_bchw)
        prompt = self.model.encode_prompts(None, None, None, batch=len(tracks), image_size=self.input_size)
        return self._choose(frame_index, tracks, self.model.decode_masks(conditioned, prompt, multimask=True))

    def _choose(
        self, frame_index: int, tracks: dict[int, ObjectTrack], decoded: DecodedMasks
    ) -> dict[int, ObjectMasks]:
        """The policy picks a mask for each object; its token becomes the pointer."""
        ious = decoded.predicted_iou_bm.tolist()
        scores = decoded.object_score_logits_b.tolist()
        chosen = [
            track.policy.choose_mask(Candidates(frame_index, decoded.mask_logits_bmhw[n], tuple(ious[n]), scores[n]))
            if len(ious[n]) > 1
            else 0
            for n, track in enumerate(tracks.values())
        ]
        rows = torch.arange(len(tracks), device=decoded.output_tokens_bmc.device)
        tokens = decoded.output_tokens_bmc[rows, torch.tensor(chosen, device=rows.device)]
        pointers = self.model.point_to(tokens, decoded.object_score_logits_b)
        self._observe("prompt_attended", frame_index, tuple(tracks), decoded.attended_bchw)
        self._observe("object_pointer", frame_index, tuple(tracks), pointers)
        found = {i: _object_masks(decoded, n, chosen[n], pointers[n]) for n, i in enumerate(tracks)}
        if self.options.fill_holes_px:
            area = self.options.fill_holes_px
            found = {i: replace(m, mask_logits_hw=fill_holes(m.mask_logits_hw, area)) for i, m in found.items()}
        return found

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
            observer(Observation(stage, frame_index, ids, output))


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
