"""Results on their way to disk: overlay, mask pictures and mask lines, each in a thread of its own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.data.async_writer import AsyncWriter
from maskscope.data.join import VideoPart, join_videos
from maskscope.data.label_maps import MaskPngWriter
from maskscope.data.overlay import OverlayWriter, draw_overlay
from maskscope.data.rle import RleWriter
from maskscope.data.source import Frame
from maskscope.studies.result_folder import ResultFolder
from maskscope.tracking.results import FrameResult

PENDING = 4  # frames that may wait for each writer; their pictures are in memory meanwhile
MASK_DIGITS = 5  # of a mask picture's name, as in DAVIS
USUAL_FPS = 25.0  # of sources that do not say


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame with its masks, as the writers take it.

    Attributes:
        frame: number, time and picture.
        object_ids: n ids.
        masks_nhw: (n, H, W) bool.
        labels_hw: (H, W) uint8 object ids, the strongest where masks overlap.
        object_scores: n probabilities that the object is visible, 0..1.
        predicted_iou: n values in 0..1.
    """

    frame: Frame
    object_ids: tuple[int, ...]
    masks_nhw: NDArray[np.bool_]
    labels_hw: NDArray[np.uint8]
    object_scores: tuple[float, ...]
    predicted_iou: tuple[float, ...]

    @classmethod
    def of(cls, frame: Frame, result: FrameResult) -> Scene:
        """Upsample and merge where the logits are, so that only bytes leave the device."""
        logits = result.mask_logits_nhw
        return cls(
            frame,
            result.object_ids,
            (logits > 0).cpu().numpy(),
            _strongest(logits, result.object_ids).cpu().numpy(),
            tuple(torch.from_numpy(result.object_score_logits).sigmoid().tolist()),
            tuple(result.predicted_iou.tolist()),
        )


def _strongest(logits_nhw: Tensor, object_ids: tuple[int, ...]) -> Tensor:
    ids = torch.tensor(object_ids, dtype=torch.uint8, device=logits_nhw.device)
    best, place = logits_nhw.max(0)
    return torch.where(best > 0, ids[place], torch.zeros_like(ids[:1]))


@dataclass(slots=True)
class Written:
    """How much of each file stands for finished frames; plain values, kept beside the session.

    Attributes:
        frames: number of frames.
        record_bytes: length of `masks.jsonl`.
        parts: file name, number of frames and start in seconds of each stretch of the overlay.
        start_s: time of the first frame, where the overlay's clock starts.
    """

    frames: int = 0
    record_bytes: int = 0
    parts: list[tuple[str, int, float]] = field(default_factory=list)
    start_s: float | None = None


class Recorder:
    """Writes frames in the order they come.

    Args:
        folder: where to.
        fps: frames per second of the source, if it says.
        written: what an earlier, interrupted run has left; what it wrote beyond that is written over.
        overlay: also draw the masks over the picture.
        masks: also write a mask picture for each frame.
        num_frames: length of the source, if known; names of mask pictures have the digits it needs, at least five.
    """

    def __init__(
        self,
        folder: ResultFolder,
        fps: float | None,
        written: Written | None = None,
        *,
        overlay: bool = True,
        masks: bool = True,
        num_frames: int | None = None,
    ) -> None:
        self.folder, self._fps, self._overlay = folder, fps or USUAL_FPS, overlay
        self.written = written or Written()
        self._stack = ExitStack()
        self._records = RleWriter(folder.records, overwrite=True, keep_bytes=self.written.record_bytes or None)
        self._writers = [self._stack.enter_context(AsyncWriter(_Records(self._records), PENDING))]
        if masks:
            digits = max(MASK_DIGITS, len(str((num_frames or 1) - 1)))
            pictures = _Pictures(MaskPngWriter(folder.masks, overwrite=True), digits)
            self._writers.append(self._stack.enter_context(AsyncWriter(pictures, PENDING)))
        self._part: Path | None = None

    def write(self, frame: Frame, result: FrameResult) -> None:
        """Hand one frame to the writers.

        Raises:
            OutputError: one of them has failed; what was written before is readable.
        """
        scene = Scene.of(frame, result)
        if self.written.start_s is None:
            self.written.start_s = frame.time_s
        if self._overlay and self._part is None:
            self._open_part(frame)
        for writer in self._writers:
            writer.write(scene)
        self.written.frames += 1
        if self._part is not None:
            name, count, start_s = self.written.parts[-1]
            self.written.parts[-1] = (name, count + 1, start_s)

    def flush(self) -> None:
        """Wait until all frames are with the system and `written` tells the truth.

        Raises:
            OutputError: as of `write`.
        """
        for writer in self._writers:
            writer.flush()
        self.written.record_bytes = self._records.written_bytes

    def close(self) -> None:
        """Finish all files.

        Raises:
            OutputError: as of `write`.
        """
        self._stack.close()
        self.written.record_bytes = self._records.written_bytes

    def join_overlay(self) -> None:
        """Make one video of the parts that interruptions have left, which stay; after `close`, again if need be.

        Raises:
            VideoError: the parts do not fit together.
            OutputError: the whole cannot be written.
        """
        parts = [VideoPart(self.folder.path / name, count, start_s) for name, count, start_s in self.written.parts]
        if len(parts) > 1:
            join_videos(parts, self.folder.overlay)

    def _open_part(self, frame: Frame) -> None:
        self._part = self.folder.overlay_part(frame.index) if self.written.parts else self.folder.overlay
        height, width = frame.rgb.shape[:2]
        writer = OverlayWriter(self._part, self._fps, height, width, overwrite=True)
        assert self.written.start_s is not None
        start_s = frame.time_s - self.written.start_s
        self.written.parts.append((self._part.name, 0, start_s))
        self._writers.append(self._stack.enter_context(AsyncWriter(_Overlay(writer, frame.time_s), PENDING)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


@dataclass(frozen=True, slots=True)
class _Records:
    writer: RleWriter

    def write(self, scene: Scene) -> None:
        for place, object_id in enumerate(scene.object_ids):
            self.writer.write(
                scene.frame.index,
                scene.frame.time_s,
                object_id,
                scene.masks_nhw[place],
                object_score=scene.object_scores[place],
                predicted_iou=scene.predicted_iou[place],
            )

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True, slots=True)
class _Pictures:
    writer: MaskPngWriter
    digits: int

    def write(self, scene: Scene) -> None:
        self.writer.write(scene.labels_hw, scene.frame.index, f"{scene.frame.index:0{self.digits}d}")

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True, slots=True)
class _Overlay:
    writer: OverlayWriter
    start_s: float

    def write(self, scene: Scene) -> None:
        drawn = draw_overlay(scene.frame.rgb, scene.masks_nhw, scene.object_ids, scores=scene.object_scores)
        self.writer.write(drawn, scene.frame.time_s - self.start_s)

    def close(self) -> None:
        self.writer.close()


def as_json(written: Written) -> dict[str, Any]:
    """For the note beside a saved session."""
    return {
        "frames": written.frames,
        "record_bytes": written.record_bytes,
        "parts": written.parts,
        "start_s": written.start_s,
    }


def from_json(plain: dict[str, Any]) -> Written:
    """The inverse of `as_json`."""
    parts = [(str(name), int(count), float(start_s)) for name, count, start_s in plain["parts"]]
    return Written(plain["frames"], plain["record_bytes"], parts, plain["start_s"])
