"""Ways of choosing frames to label, and what labels are worth: as prompts of a clip, or to fine-tune on."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskscope.data.dataset import AnnotatedSequence
from maskscope.data.label_map_folders import LabelMapSequence
from maskscope.data.label_maps import object_labels
from maskscope.errors import DatasetError
from maskscope.evaluate.boundary import boundary_f
from maskscope.evaluate.region import region_similarity
from maskscope.model import SAM2
from maskscope.model.outputs import ImageFeatures
from maskscope.studies.clips_to_label import labelled_on
from maskscope.studies.finetune import CLIPS, FineTuneOptions, recipe_of
from maskscope.studies.held_out import score_clip
from maskscope.studies.label_next import label_next
from maskscope.studies.signs import ClipSigns, clip_signs
from maskscope.tracking.picture import input_size
from maskscope.tracking.video_tracker import VideoTracker
from maskscope.training.clips import ClipSampler
from maskscope.training.corpus import HELD_OUT
from maskscope.training.launch import prepared
from maskscope.training.loop import Trainer
from maskscope.training.user_data import LabelledClip, StretchedClips, labelled_corpus

Labels = dict[str, list[int]]
"""Clip -> its labelled frames, ascending; the first always among them."""


@dataclass(frozen=True)
class FirstFrames:
    """The first frames of a clip, all labelled, kept in memory."""

    sequence: AnnotatedSequence
    num_frames: int
    first: int = 0
    _kept: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = field(default_factory=dict, repr=False)

    fps, prompts_only = None, False

    @property
    def name(self) -> str:
        return self.sequence.name

    @property
    def size(self) -> tuple[int, int]:
        return self.sequence.size

    @property
    def annotated_frames(self) -> Sequence[int]:
        return range(self.num_frames)

    @property
    def object_ids(self) -> tuple[int, ...]:
        return object_labels(self.masks(0))

    @property
    def first_frames(self) -> Mapping[int, int]:
        return dict.fromkeys(self.object_ids, 0)

    def frame(self, index: int) -> NDArray[np.uint8]:
        return self._at(index)[0]

    def masks(self, index: int) -> NDArray[np.uint8]:
        return self._at(index)[1]

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        return {number: self.masks(index) == number for number in self.object_ids}

    def _at(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if index not in self._kept:
            labels = self.sequence.masks(self.first + index)
            if labels is None:
                raise DatasetError(
                    f"frame {self.first + index} of {self.name} has no mask", "give clips with all masks"
                )
            self._kept[index] = self.sequence.frame(self.first + index), labels
        return self._kept[index]


def held_out_sequences(data: Path) -> list[AnnotatedSequence]:
    """The sequences that training left out, of a folder of training data."""
    found: list[AnnotatedSequence] = []
    for name in HELD_OUT:
        parts = [sorted((data / "video" / "davis_train" / name / part).glob("*")) for part in ("frames", "masks")]
        if not parts[0] or len(parts[0]) != len(parts[1]):
            raise DatasetError(f"{data} lacks video/davis_train/{name} with frames and masks", "give training data")
        found.append(LabelMapSequence(name, tuple(parts[0]), tuple(parts[1]), single_object=True))
    return found


# -- ways of choosing -------------------------------------------------------------------------------------------------


def signs_of(model: SAM2, clip: FirstFrames, labelled: Sequence[int]) -> ClipSigns:
    """What the model shows on a clip of which these frames are labelled."""
    known = labelled_on(clip, labelled)
    return clip_signs(model, clip.name, known.frames, known.prompts, known.labelled)


def by_signs(signs: Sequence[ClipSigns], count: int) -> Labels:
    """As `maskscope label-next` says; what was labelled before stays so. All frames where there are no more."""
    chosen = {clip.name: list(clip.labelled) for clip in signs}
    count = min(count, sum(clip.num_frames - len(clip.labelled) for clip in signs))
    for suggestion in label_next(signs, count) if count else ():
        chosen[suggestion.clip].append(suggestion.frame)
    return {name: sorted(frames) for name, frames in chosen.items()}


def uniform(clips: Sequence[FirstFrames], count: int) -> Labels:
    """Evenly spread, longer clips getting more; the last one lies before a clip's end by half a gap."""
    counts = dict.fromkeys((clip.name for clip in clips), 0)
    room = {clip.name: clip.num_frames - 1 for clip in clips}
    for _ in range(min(count, sum(room.values()))):
        counts[max(room, key=lambda name: room[name] / (counts[name] + 0.5) if counts[name] < room[name] else 0)] += 1
    chosen = {}
    for clip in clips:
        wanted = counts[clip.name]
        if wanted > room[clip.name] // 2:  # too dense for rounding to keep frames apart
            places = np.linspace(1, clip.num_frames - 1, wanted).astype(int)
        else:
            places = np.array([round(k * clip.num_frames / (wanted + 0.5)) for k in range(1, wanted + 1)], int)
        chosen[clip.name] = [0, *(int(place) for place in places)]
    return chosen


def random(clips: Sequence[FirstFrames], count: int, seed: int) -> Labels:
    """Drawn from all frames but the first ones; a larger count adds to a smaller one."""
    frames = [(clip.name, frame) for clip in clips for frame in range(1, clip.num_frames)]
    order = np.random.default_rng([seed, len(frames)]).permutation(len(frames))[:count]
    chosen: Labels = {clip.name: [0] for clip in clips}
    for index in order:
        chosen[frames[index][0]].append(frames[index][1])
    return {name: sorted(drawn) for name, drawn in chosen.items()}


# -- what labels are worth --------------------------------------------------------------------------------------------


class Follower:
    """Follows the objects of one clip from its labels; what does not depend on the labels is computed once."""

    def __init__(self, model: SAM2, clip: FirstFrames) -> None:
        self.model, self.clip = model, clip
        self.features: dict[int, ImageFeatures] = {}

    def j_and_f(self, labelled: Sequence[int]) -> float:
        """Mean over objects of the first frame and frames 1 to the end; a labelled one is right."""
        known = labelled_on(self.clip, labelled)
        tracker = _Remembering(self.model, known.frames, self.features)
        for number, prompts in known.prompts.items():
            tracker.prompt(number, prompts)
        scores = []
        for result in tracker.propagate(0):
            truth = self.clip.masks(result.frame_index)
            found = dict(zip(result.object_ids, result.masks, strict=True))
            if result.frame_index in labelled:
                scores.append(1.0)
            else:
                scores.append(float(np.mean([_score(found[i], truth == i) for i in self.clip.object_ids])))
        return float(np.mean(scores[1:]))


class _Remembering(VideoTracker):
    """Takes image features from a dictionary that outlives it."""

    def __init__(self, model: SAM2, frames: object, features: dict[int, ImageFeatures]) -> None:
        super().__init__(model, frames)  # type: ignore[arg-type]
        self.kept = features

    def _features(self, frame_index: int) -> ImageFeatures:
        if frame_index not in self.kept:
            self.kept[frame_index] = super()._features(frame_index)
        return self.kept[frame_index]


def _score(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return (float(region_similarity(found, truth)) + float(boundary_f(found, truth))) / 2


@dataclass(frozen=True)
class Tuning:
    """How the model is fine-tuned on labels."""

    steps: int
    frames: int
    image_size: tuple[int, int]


def fine_tuned(model: SAM2, clips: Sequence[FirstFrames], labels: Labels, tuning: Tuning, options: str) -> SAM2:
    """The model trained on the labelled frames, as `maskscope finetune` does it; the one given stays as it is."""
    mine = [LabelledClip(clip, tuple(labels[clip.name])) for clip in clips]
    own = FineTuneOptions(model=options, steps=tuning.steps, frames=tuning.frames, image_size=tuning.image_size)
    seen = input_size(model.config, *clips[0].size)
    recipe = recipe_of(own, seen)
    with tempfile.TemporaryDirectory() as folder:
        corpus = labelled_corpus(mine, Path(folder) / "data", seen[0] * seen[1])
        source = StretchedClips(ClipSampler(corpus, CLIPS, own.seed), seen)
        trainer = Trainer(prepared(copy.deepcopy(model), recipe), recipe, source, Path(folder) / "run")
        trainer.run()
    return trainer.averaged.eval()


def scores_on(model: SAM2, clips: Sequence[FirstFrames]) -> dict[str, float]:
    """J&F of each clip, its first frame given."""
    return {
        clip.name: float(score_clip(model, LabelledClip(clip, tuple(range(clip.num_frames)))).mean()) for clip in clips
    }
