"""The state of one video: objects, their clicks and memories, and how a frame is prompted or tracked.

A session never reads frames; whoever owns the frames (`Tracker` for streams, `VideoTracker` for files) hands it their
features. Source of the order of events: facebookresearch/sam2 (commit 2b90b9f) `sam2_video_predictor.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from maskscope.errors import PromptError
from maskscope.memory.bank import FrameMemory
from maskscope.memory.policy import Branch, Candidates, Moment, PolicyFactory, Selection
from maskscope.model import SAM2
from maskscope.model.mask_decoder import upsample_logits
from maskscope.model.outputs import ImageFeatures
from maskscope.stages import Stage
from maskscope.tracking.decide import Group, Row, answer, as_remembered, branches_of, object_masks, outcome_of
from maskscope.tracking.holes import fill_holes
from maskscope.tracking.memory_access import Layout, layout_of, read_memories
from maskscope.tracking.object_track import Entry, ObjectTrack
from maskscope.tracking.observer import Observation, Observer
from maskscope.tracking.picture import mask_tensor
from maskscope.tracking.prompts import ClickSet, Prompt
from maskscope.tracking.results import FrameResult, ObjectMasks, keep_strongest

CORRECTION_LOGIT_LIMIT = 32.0  # a correction starts from the earlier mask, clamped to this
FeaturesOf = Callable[[int], ImageFeatures]


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
        return None if memory is None or memory.mask_logits_hw is None else as_remembered(memory)

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
                selections[i] = tracks[i].policy.select(tracks[i].bank, self._moment(frame_index, tracks[i]))
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

    def _moment(self, frame_index: int, track: ObjectTrack | None = None) -> Moment:
        """A frame the user speaks of; it has a direction if an object was tracked on it."""
        reverse = track is not None and track.directions.get(frame_index, False)
        return Moment(frame_index, reverse, self.options.num_frames)

    def _adopt(
        self, frame_index: int, image: ImageFeatures, ids: Sequence[int], masks_b1hw: Tensor
    ) -> dict[int, ObjectMasks]:
        decoded, pointers = self.model.adopt_mask(image.expand(len(ids)), masks_b1hw)
        self._observe("prompt_attended", frame_index, tuple(ids), decoded.attended_bchw)
        self._observe("object_pointer", frame_index, tuple(ids), pointers)
        return {i: object_masks(decoded, n, 0, pointers[n]) for n, i in enumerate(ids)}

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
        decoded = self.model.decode_candidates(conditioned, tokens, multimask)
        group = Group.of([(i, 0) for i in ids], decoded, image, frame_index, prompted=True)
        branches = {
            i: branches_of(tracks[i].policy, [seen], [tracks[i].bank], self._moment(frame_index, tracks[i]))
            for i, seen in zip(ids, group.seen, strict=True)
        }
        return {i: masks for (i, _), (masks, _) in self._answer(group, branches, frame_index).items()}

    # -- memory ---------------------------------------------------------------------------------------------------

    def commit(self, features_of: FeaturesOf) -> None:
        """Write all prompted frames to memory. `features_of(frame_index)` gives the frame's image features."""
        frames = sorted({t for track in self.tracks.values() for t in track.pending})
        for t in frames:
            spoken = {i: track.pending[t] for i, track in self.tracks.items() if t in track.pending}
            image = features_of(t)
            for i in spoken:
                del self.tracks[i].pending[t]
            for i in spoken:
                self.tracks[i].fork([0])  # whatever the other pathways held for possible, the user has spoken
            entries = [Entry(i, 0, self.tracks[i].bank, masks) for i, (masks, _) in spoken.items()]
            prompted = {i for i, (_, prompted) in spoken.items() if prompted}
            self._write(self._moment(t), image, entries, spoken=True, prompted=prompted)
            if self.options.clear_around_prompts:
                memory = self.model.config.memory
                reach = memory.temporal_stride * memory.num_frames
                for i in spoken:
                    tracked = self.tracks[i].bank.tracked
                    for near in [near for near in tracked if 0 < abs(near - t) <= reach]:
                        del tracked[near]

    def _write(
        self,
        moment: Moment,
        image: ImageFeatures,
        entries: Sequence[Entry],
        spoken: bool,
        prompted: Collection[int] = (),
    ) -> None:
        """Encode and store one frame of several objects, or pathways of objects, as one batch.

        `spoken`: the user spoke of them, and the frame counts as prompted for the objects in `prompted`; else it is
        a tracked frame, which policies may refuse.
        """
        frame_index = moment.frame_index
        written: list[tuple[Entry, FrameMemory]] = []
        for entry in entries:
            policy = self.tracks[entry.object_id].policy
            masks = entry.masks
            outcome = outcome_of(masks, entry.seen, image, frame_index, entry.object_id in prompted)
            if not spoken and not policy.admit(outcome, entry.bank, moment):
                entry.bank.forget(frame_index)
                continue
            notes = policy.note(outcome, entry.bank, moment)
            pointer, logits = masks.pointer_c.clone(), masks.mask_logits_hw.clone()
            written.append((entry, FrameMemory(outcome.summary, pointer, None, logits, notes)))
        if not written:
            return
        # as the reference: filled holes are remembered where the user spoke, and only there
        found = [entry.masks.mask_logits_hw if spoken else entry.masks.chosen_logits_hw for entry, _ in written]
        logits = torch.stack(found)[:, None]
        if self.options.non_overlapping_memory:
            logits = self._apart(logits, [entry.rank for entry, _ in written])
        scores = logits.new_tensor([entry.masks.object_score_logit for entry, _ in written])
        binarize = spoken and self.model.config.memory.binarize_prompted_mask
        features = self.model.encode_memory(image, logits, scores, binarize)
        self._observe("memory_features", frame_index, tuple(entry.object_id for entry, _ in written), features)
        for row, (entry, memory) in enumerate(written):
            stored = features[row].to(self.options.memory_dtype, copy=True)  # not views: they would hold the batch
            entry.bank.write(replace(memory, features_khw=stored))

    def _apart(self, logits_b1hw: Tensor, ranks: Sequence[int]) -> Tensor:
        """Each pixel to one object, among the best pathways; the others stay as they are."""
        full = upsample_logits(logits_b1hw, self.input_size)
        best = [row for row, rank in enumerate(ranks) if rank == 0]
        full[best] = keep_strongest(full[best][:, 0])[:, None]
        return full

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
        layouts: dict[Layout, dict[Row, Selection]] = {}
        for i, track in self.tracks.items():
            if frame_index in track.bank.prompted:
                results[i] = as_remembered(track.bank.prompted[frame_index])
                continue
            for path, bank in enumerate(track.banks):
                selection = track.policy.select(bank, moment)
                layouts.setdefault(layout_of(selection), {})[i, path] = selection
        if layouts:
            image = features_of(frame_index)
            self._observe("image_embedding", frame_index, (), image.embedding_bchw)
            groups = [self._track(image, selections, frame_index) for selections in layouts.values()]
            entries = self._decide(groups, moment)
            self._write(moment, image, entries, spoken=False)
            for entry in entries:
                if entry.rank == 0:
                    results[entry.object_id] = entry.masks
                    self.tracks[entry.object_id].directions[frame_index] = reverse
        if not self.options.keep_all:
            for track in self.tracks.values():
                for bank in track.banks:
                    bank.apply(track.policy.evict(bank, moment, pivots))
                self._forget_clicks(track, frame_index)
        return self._result(frame_index, {i: results[i] for i in self.tracks})

    def _track(self, image: ImageFeatures, selections: dict[Row, Selection], frame_index: int) -> Group:
        """Decode pathways whose memories have one layout."""
        ids = tuple(i for i, _ in selections)
        banks = [self.tracks[i].banks[path] for i, path in selections]
        memory = read_memories(self.model, banks, list(selections.values()))
        conditioned = self.model.condition_on_memory(image.expand(len(ids)), memory)
        self._observe("memory_conditioned", frame_index, ids, conditioned.embedding_bchw)
        prompt = self.model.encode_prompts(None, None, None, batch=len(ids), image_size=self.input_size)
        decoded = self.model.decode_candidates(conditioned, prompt, multimask=True)
        return Group.of(list(selections), decoded, image, frame_index)

    def _decide(self, groups: Sequence[Group], moment: Moment) -> list[Entry]:
        """Masks of all objects, in their order; the policies' branches become the objects' pathways."""
        seen = {row: candidates for group in groups for row, candidates in zip(group.rows, group.seen, strict=True)}
        branches: dict[int, Sequence[Branch]] = {}
        for i, track in self.tracks.items():
            if (i, 0) in seen:
                of_paths = [seen[i, path] for path in range(len(track.banks))]
                branches[i] = branches_of(track.policy, of_paths, track.banks, moment)
                track.fork([branch.path for branch in branches[i]])
        found: dict[Row, tuple[ObjectMasks, Candidates]] = {}
        for group in groups:
            found |= self._answer(group, branches, moment.frame_index)
        return [
            Entry(i, rank, self.tracks[i].banks[rank], *found[i, rank])
            for i, chosen in branches.items()
            for rank in range(len(chosen))
        ]

    def _answer(
        self, group: Group, branches: Mapping[int, Sequence[Branch]], frame_index: int
    ) -> dict[Row, tuple[ObjectMasks, Candidates]]:
        """What of a group goes on, and what it was chosen from."""
        self._observe("prompt_attended", frame_index, tuple(i for i, _ in group.rows), group.decoded.attended_bchw)
        picks = group.picks(branches)
        if not picks:
            return {}
        answers = answer(self.model, group, picks)
        pointers = torch.stack([masks.pointer_c for masks in answers])
        self._observe("object_pointer", frame_index, tuple(pick.row[0] for pick in picks), pointers)
        if self.options.fill_holes_px:
            area = self.options.fill_holes_px
            answers = [replace(m, mask_logits_hw=fill_holes(m.mask_logits_hw, area)) for m in answers]
        return {pick.row: (masks, pick.seen) for pick, masks in zip(picks, answers, strict=True)}

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
