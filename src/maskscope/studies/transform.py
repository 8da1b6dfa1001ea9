"""Write transformed sequences in the layout of DAVIS: the door to `maskscope transform`."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maskscope import __version__
from maskscope.data.async_writer import AsyncWriter
from maskscope.data.dataset import AnnotatedFrames
from maskscope.data.sequence_writer import JPEG_QUALITY, SequenceWriter, copyable
from maskscope.errors import DatasetError, OutputError, SettingError
from maskscope.studies.clip_input import ClipInput, image_files, open_clips, open_material
from maskscope.studies.folder_lock import folder_lock
from maskscope.studies.input_identity import identity
from maskscope.studies.result_folder import Json
from maskscope.studies.transform_folder import TransformFolder, overlaps, plain
from maskscope.transforms.base import VOID_LABEL, ClipFrame, LabelledSequence, SourceClip, TransformedClip
from maskscope.transforms.chain import Recipe, chain_digest, chain_text, parameters, strengths, transform
from maskscope.transforms.material import ClipMaterial

log = logging.getLogger(__name__)

_PENDING: Final = 4  # frames that may wait to be encoded
_PACKAGES: Final = ("numpy", "opencv-python-headless", "pillow", "av")  # whose versions decide bytes


@dataclass(frozen=True)
class TransformOptions:
    """What is wanted; together with the source it decides every byte.

    Attributes:
        recipes: applied in this order, one or more.
        sequences: of a data set only these; none for all.
        masks: of a single clip: a folder with a mask picture for each frame.
        material: a data set whose clips lend occluders and foreign footage; None to draw them.
        lossless: frames as PNG; else JPEG of quality 95 without chroma subsampling. Where all severities are 0 the
            frames are the source's own files.
    """

    recipes: tuple[Recipe, ...]
    sequences: tuple[str, ...] = ()
    masks: Path | None = None
    material: Path | None = None
    lossless: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: the sequence, and how many there are.
        done: its frames that are written.
        total: how many it will have.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class TransformSummary:
    """What a run did.

    Attributes:
        folder: where the data set is.
        finished: False when it was stopped; the same call goes on where it stopped.
        sequences: how many were asked for.
        complete: how many of these are whole now.
        num_frames: frames that this run has written.
        seconds: time this run took, reading and writing included.
    """

    folder: Path
    finished: bool
    sequences: int
    complete: int
    num_frames: int
    seconds: float


def transform_dataset(
    source: str | Path,
    out: str | Path,
    options: TransformOptions,
    *,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> TransformSummary:
    """Write clips under a chain of transformations, with masks, whole outlines and how each frame was made.

    A sequence appears when all of it is written. An interrupted run (by `stop`, an exception or the end of the
    process) leaves whole sequences; the same call writes the others, and other sequences can be added by another call.

    Args:
        source: a folder in the layout of DAVIS, or a video file or folder of images (with `options.masks`).
        out: the folder; made if need be. `JPEGImages`, `Annotations` (what is seen; 255 void) and `Amodal` (whole
            outlines) hold the frames, numbered from 0; `manifest.json` and `manifests/` how they were made.
        options: see `TransformOptions`.
        overwrite: remove what an earlier run has written there first.
        command: how the program was called, for the manifest.
        progress: called after each frame.
        stop: asked after each frame; True gives up the sequence in hand and returns.

    Raises:
        DatasetError: the source is not as its format says; or some of its sequences cannot be transformed so, in
            which case the others are written.
        VideoError: frames cannot be read.
        SettingError: no recipe, or an unknown family or variant.
        OutputError: the folder holds something else, is in use by another run, or cannot be written.
    """
    if not options.recipes:
        raise SettingError("no transformation is named", "for example --family occlusion --severity 3")
    recipes = [recipe.as_json() for recipe in options.recipes]
    clips = open_clips(source, options.masks, options.sequences)
    material = open_material(options.material)
    folder = TransformFolder(out, clips.resolution)
    onto_itself = folder.path.resolve() == Path(source).resolve()
    if onto_itself or any(overlaps(folder.path, read) for read in clips.folders):
        raise OutputError(f"the results would be written into the input {source}", "name another folder with --out")
    request: Json = {
        "source": identity(str(source)),
        "masks": None if options.masks is None else identity(str(options.masks)),
        "recipes": recipes,
        "material": None if options.material is None else identity(str(options.material)),
        "lossless": options.lossless,
        "maskscope_version": __version__,
    }
    folder.examine(request, overwrite)
    with folder_lock(folder.path):
        folder.examine(request, overwrite)
        if overwrite:
            folder.clear()
        facts: Json = {
            "request": request,
            "digest": chain_digest(options.recipes, str(request["material"] or "")),
            "frames_as": "PNG" if options.lossless else f"JPEG, quality {JPEG_QUALITY}, 4:4:4",
            "command": list(command),
            "versions": _versions(),
        }
        return _Run(clips, material, folder, options, facts, progress, stop).go()


@dataclass(eq=False)
class _Run:
    """One call of `transform_dataset`, once everything is known to be in order."""

    clips: ClipInput
    material: ClipMaterial
    folder: TransformFolder
    options: TransformOptions
    facts: Json
    progress: Callable[[Progress], None]
    stop: Callable[[], bool]
    num_frames: int = 0
    refused: dict[str, DatasetError] = field(default_factory=dict)
    _began: bool = False

    def go(self) -> TransformSummary:
        """All sequences that are not complete; whatever ends it, `manifest.json` says how far it came."""
        began = time.perf_counter()
        try:
            stopped = self._work()
        except Exception as error:
            self._leave("failed", reason=str(error))
            raise
        if stopped:
            self._leave("stopped")
        elif self.refused:
            self._leave("incomplete", refused={name: str(error) for name, error in self.refused.items()})
            raise self._refusal()
        else:
            self._begin()
            self.folder.write_manifest("finished", self.facts)
        done = self.folder.complete().keys() & set(self.clips.names)
        seconds = time.perf_counter() - began
        return TransformSummary(
            self.folder.path, not stopped, len(self.clips.names), len(done), self.num_frames, seconds
        )

    def _work(self) -> bool:
        """True when stopped."""
        done = self.folder.complete()
        for place, name in enumerate(self.clips.names):
            if name in done:
                continue
            sequence = self.clips.open(name)
            source = SourceClip(sequence)
            try:
                clip = transform(source, self.options.recipes, self.material.without(name))
            except DatasetError as error:
                if len(self.clips.names) == 1:
                    raise
                log.warning("%s is left out: %s", name, error)
                self.refused[name] = error
                continue
            self._begin()
            self.folder.remove(name)  # what a killed run may have left of it
            stage = f"{name} ({place + 1} of {len(self.clips.names)})"
            if not self._write(sequence, source, clip, stage):
                return True
            if place + 1 < len(self.clips.names) and self.stop():
                return True
        return False

    def _begin(self) -> None:
        """Say that this folder is ours, before the first file of a sequence is."""
        if not self._began:
            self._began = True
            self.folder.tidy()
            self.folder.write_manifest("running", self.facts)

    def _write(self, sequence: LabelledSequence, source: SourceClip, clip: TransformedClip, stage: str) -> bool:
        """One sequence; False when stopped on the way."""
        links = len(self.options.recipes)
        originals = _originals(sequence, self.options.recipes)
        frames: list[Json] = []
        objects: set[int] = set()
        name, lossless = sequence.name, self.options.lossless
        with SequenceWriter(self.folder.path, self.folder.resolution, name, lossless=lossless) as files:
            self.progress(Progress(stage, 0, clip.num_frames))
            with AsyncWriter(files, _PENDING) as writer:
                for t in range(clip.num_frames):
                    frame = clip.at(t)
                    image = originals[t] if originals else frame.image_hwc
                    writer.write(image, _with_void(frame.visible_hw, frame), _with_void(frame.amodal_hw, frame))
                    frames.append(_frame_facts(frame, links))
                    objects.update(int(number) for number in frames[-1]["amodal_px"])
                    self.progress(Progress(stage, t + 1, clip.num_frames))
                    if t + 1 < clip.num_frames and self.stop():
                        return False
                writer.flush()
            files.commit()
            for record, digests in zip(frames, files.sha256, strict=True):
                record["sha256"] = digests
        _warn_of_first_frame(name, source, clip)
        self.folder.write_sequence(
            name,
            {
                "size_hw": list(clip.size),
                "objects": sorted(objects),
                "source_frames": source.num_frames,
                # Of a sequence with masks on some frames, which those are; moments count these frames only.
                "source_numbers": list(sequence.source_frames) if isinstance(sequence, AnnotatedFrames) else None,
                "recipes": [
                    {**recipe.as_json(), "parameters": plain(decided)}
                    for recipe, decided in zip(self.options.recipes, parameters(clip), strict=True)
                ],
                "versions": self.facts["versions"],
                "frames": frames,
            },
        )
        self.num_frames += clip.num_frames
        return True

    def _leave(self, status: Any, **more: Any) -> None:
        """Write how it ended, unless nothing has begun; what fails now matters less than what ended it."""
        if not self._began:
            return
        try:
            self.folder.tidy()
            self.folder.write_manifest(status, self.facts | more)
        except OutputError as failure:
            log.warning("%s", failure)

    def _refusal(self) -> DatasetError:
        """All that could not be transformed, in one line."""
        name, error = next(iter(self.refused.items()))
        others = f" (and {len(self.refused) - 1} more)" if len(self.refused) > 1 else ""
        return DatasetError(
            f"{len(self.refused)} of {len(self.clips.names)} sequences cannot be transformed by "
            f"{chain_text(self.options.recipes)}: {name}{others}: {error.problem}",
            f"the others are in {self.folder.path}" if self._began else error.remedy,
        )


def _originals(sequence: LabelledSequence, recipes: Sequence[Recipe]) -> tuple[Path, ...]:
    """Image files to copy byte by byte, where nothing is to change; else none."""
    if any(recipe.severity for recipe in recipes):
        return ()
    files = image_files(sequence)
    return files if all(map(copyable, files)) else ()


def _with_void(labels: NDArray[np.uint8], frame: ClipFrame) -> NDArray[np.uint8]:
    if frame.void_hw is None:
        return labels
    return np.where(frame.void_hw, np.uint8(VOID_LABEL), labels)


def _frame_facts(frame: ClipFrame, links: int) -> Json:
    """What the manifest says of a frame; null for an identity, and for moments and strengths that do not exist."""
    return {
        "source_time": frame.source_time,
        "strengths": plain(strengths(frame, links)),
        "to_source": None if frame.to_source is None else plain(frame.to_source),
        "visible_px": _areas(frame.visible_hw, frame.void_hw),
        "amodal_px": _areas(frame.amodal_hw, frame.void_hw),
        "void_px": 0 if frame.void_hw is None else int(np.count_nonzero(frame.void_hw)),
    }


def _areas(labels: NDArray[np.uint8], void: NDArray[np.bool_] | None) -> dict[str, int]:
    """Pixels of each object where there is truth."""
    counts = np.bincount(labels.ravel() if void is None else labels[~void], minlength=1)
    return {str(number): int(counts[number]) for number in np.flatnonzero(counts) if number}


def _warn_of_first_frame(name: str, source: SourceClip, clip: TransformedClip) -> None:
    """Objects are given to trackers by their masks on the first frame."""
    before, after = source.at(0), clip.at(0)
    lost = _areas(before.visible_hw, before.void_hw).keys() - _areas(after.visible_hw, after.void_hw).keys()
    if lost:
        log.warning("%s: object %s is not seen on the first transformed frame", name, ", ".join(sorted(lost)))


def _versions() -> dict[str, str]:
    found = {"maskscope": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # OpenCV comes under several names
            continue
    return found
