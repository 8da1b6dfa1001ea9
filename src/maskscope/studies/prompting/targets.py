"""Which objects of which clips a study takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope.data.folders import files_by_stem
from maskscope.data.label_maps import object_labels
from maskscope.data.picture import IMAGE_SUFFIXES
from maskscope.errors import DatasetError, MaskscopeError, PromptError, SettingError
from maskscope.model.config import SAM2Config
from maskscope.studies.clip_input import open_clips
from maskscope.studies.looked_at import LookedAt, check_objects, look_at
from maskscope.studies.prompting.footage import FootageSpec, content_digest
from maskscope.tracking.picture import input_size, mask_tensor
from maskscope.tracking.prompts import Prompt

log = logging.getLogger(__name__)

Objects = Literal["largest", "all"]


@dataclass(frozen=True, eq=False)
class Targets:
    """What is asked for.

    Attributes:
        source: video file, folder of images, or data set.
        masks: folder of true masks of a video.
        sequences: of a data set only these; none for all.
        limit: only the first so many clips; None for all.
        start: number of the frame on which objects are given; None is the first that shows one.
        max_frames: at most so many from there; None for all.
        objects: the largest on that frame, or all it shows.
        prompts: give the objects where the clip has no masks.
    """

    source: str
    masks: Path | None = None
    sequences: tuple[str, ...] = ()
    limit: int | None = None
    start: int | None = None
    max_frames: int | None = None
    objects: Objects = "largest"
    prompts: tuple[Prompt, ...] = ()

    @property
    def is_dataset(self) -> bool:
        """Whether the source is a folder of clips rather than a clip."""
        path = Path(self.source)
        return path.is_dir() and not files_by_stem(path, IMAGE_SUFFIXES) and self.masks is None

    def find(self, config: SAM2Config) -> list[tuple[str, FootageSpec, int]]:
        """Clip and object in words, how to open it, and its number of frames.

        Clips and objects that cannot be used are left out with a warning; the error of the first is raised where
        nothing is left.

        Raises:
            DatasetError: no data set or clip, or no object that can be given.
            PromptError: neither masks nor prompts, or a prompt that means no object.
            SettingError: prompts for a clip that has masks, or a limit below 1.
            VideoError: the clip cannot be read, is live, or has no second frame.
        """
        if self.limit is not None and self.limit < 1:
            raise SettingError(f"a limit of {self.limit} leaves no clip", "give 1 or more")
        names: Sequence[str | None] = self.sequences or (None,)
        if self.is_dataset:
            names = open_clips(self.source, None, self.sequences).names
        found: list[tuple[str, FootageSpec, int]] = []
        refused: list[MaskscopeError] = []
        for name in names[: self.limit]:
            try:
                found += self._of_clip(name, config)
            except DatasetError as error:
                if len(names) > 1:
                    log.warning("%s is left out: %s", name, error)
                refused.append(error)
        if not found:
            raise refused[0] if refused else DatasetError(f"{self.source} has no clip")
        return found

    def _of_clip(self, name: str | None, config: SAM2Config) -> Iterator[tuple[str, FootageSpec, int]]:
        clip = look_at(self.source, masks=self.masks, sequence=name, start=self.start or 0, max_frames=self.max_frames)
        if not clip.annotated:
            yield from self._given(clip, config)
            return
        if self.prompts:
            raise SettingError(f"{clip.name} has true masks, which say which object is meant", "leave the prompts out")
        if self.start is None and (first := _first_shown(self.source, self.masks, name)):
            clip = look_at(self.source, masks=self.masks, sequence=name, start=first, max_frames=self.max_frames)
        labels = clip.masks(0)
        shown = sorted(object_labels(labels), key=lambda number: -int((labels == number).sum()))
        if not shown:
            raise DatasetError(
                f"the masks of {clip.name} show no object on frame {clip.start}",
                "give another clip, or a frame that shows one with --frame",
            )
        digest = content_digest(clip)
        refused: list[DatasetError] = []
        for number in shown:
            mask = np.asarray(labels == number)
            if not _is_visible(mask, config):
                height, width = input_size(config, *clip.size)
                refused.append(
                    DatasetError(
                        f"object {number} of {clip.name} has {int(mask.sum())} pixels on frame {clip.start} and is "
                        f"nothing at the model's input of {width} x {height}",
                        "begin on a frame that shows it larger with --frame, or raise --image-size",
                    )
                )
                continue
            spec = FootageSpec(self.source, self.masks, name, clip.start, self.max_frames, number, digest)
            label = clip.name if len(shown) == 1 or self.objects == "largest" else f"{clip.name} object {number}"
            yield label, spec, clip.num_frames
            if self.objects == "largest":
                return
        if len(refused) == len(shown):
            raise refused[0]
        for error in refused:
            log.warning("%s", error)

    def _given(self, clip: LookedAt, config: SAM2Config) -> Iterator[tuple[str, FootageSpec, int]]:
        if not self.prompts:
            raise PromptError(
                f"{clip.name} has no masks, which this study compares with",
                "give --masks DIR with one for each frame, or mark the object (--mask FILE, --box, --point) to have "
                "the model's own run stand in for them",
            )
        check_objects(self.prompts, clip.size)
        digest = content_digest(clip)
        for prompt in self.prompts if self.objects == "all" else self.prompts[:1]:
            if prompt.mask is not None and not _is_visible(np.asarray(prompt.mask != 0), config):
                height, width = input_size(config, *clip.size)
                raise PromptError(
                    f"the mask of object {prompt.object_id} is nothing at the model's input of {width} x {height}",
                    "give a larger object, or raise --image-size",
                )
            spec = FootageSpec(self.source, None, None, clip.start, self.max_frames, prompt.object_id, digest, prompt)
            yield clip.name, spec, clip.num_frames


def _first_shown(source: str, masks: Path | None, name: str | None) -> int | None:
    """The first frame of the whole clip that shows an object; None where none does or where it is the last."""
    whole = look_at(source, masks=masks, sequence=name)
    return next((t for t in range(whole.num_frames - 1) if object_labels(whole.masks(t))), None)


def _is_visible(mask: NDArray[np.bool_], config: SAM2Config) -> bool:
    height, width = mask.shape
    return bool(mask_tensor(mask, input_size(config, height, width), torch.device("cpu"), torch.float32).any())
