"""Masks as JSON lines in COCO's run-length encoding: small, exact, one line for each frame and object."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from maskscope.data.output import new_file, writing
from maskscope.errors import DatasetError, OutputError, ShapeError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RleRecord:
    """One object on one frame.

    Attributes:
        frame: frame number from 0.
        time_s: seconds since the first frame.
        object: the object's id.
        size: `(height, width)` in pixels.
        counts: the mask in COCO's compressed run-length string.
        area_px: how many pixels the mask has; 0 says the object is not seen.
        bbox_xywh: `(left, top, width, height)` of the mask in pixels; four zeros for an empty mask.
        object_score: probability that the object is visible, 0..1; None where it was not predicted.
        predicted_iou: the model's own estimate of the mask's overlap with the truth, 0..1; None as above.
    """

    frame: int
    time_s: float
    object: int
    size: tuple[int, int]
    counts: str
    area_px: int
    bbox_xywh: tuple[float, float, float, float]
    object_score: float | None = None
    predicted_iou: float | None = None

    def mask(self) -> NDArray[np.bool_]:
        """The mask, `(H, W)` bool."""
        decoded: NDArray[np.uint8] = coco_mask.decode({"size": list(self.size), "counts": self.counts.encode("ascii")})
        return decoded.astype(bool)


class RleWriter:
    """Write masks as JSON lines; each line is on its way to the disk when `write` returns.

    Args:
        path: the file, by custom ending in `.jsonl`.
        overwrite: replace an existing file instead of refusing.
        keep_bytes: go on with an existing file after its first so many bytes, dropping what follows them.

    Attributes:
        written_bytes: how long the file is.

    Raises:
        OutputError: the file exists, cannot be written, is shorter than `keep_bytes`, or the disk is full.
    """

    def __init__(self, path: Path | str, overwrite: bool = False, keep_bytes: int | None = None) -> None:
        self.path = new_file(Path(path), overwrite or keep_bytes is not None)
        self.written_bytes = keep_bytes or 0
        with writing(self.path):
            # Unbuffered: after a full disk nothing is left that closing would try to write once more.
            self._file = self.path.open("wb" if keep_bytes is None else "r+b", buffering=0)
            if keep_bytes is not None:
                if self._file.seek(0, os.SEEK_END) < keep_bytes:
                    self._file.close()
                    raise OutputError(f"{self.path} has lost its end since it was written", "start over")
                self._file.truncate(keep_bytes)
                self._file.seek(keep_bytes)

    def write(
        self,
        frame: int,
        time_s: float,
        object_id: int,
        mask: NDArray[np.bool_],
        *,
        object_score: float | None = None,
        predicted_iou: float | None = None,
    ) -> None:
        """Append one object on one frame.

        Args:
            frame: frame number from 0.
            time_s: seconds since the first frame.
            object_id: the object's id.
            mask: `(H, W)` bool.
            object_score: 0..1, or None.
            predicted_iou: 0..1, or None.

        Raises:
            ShapeError: the mask is not `(H, W)`.
            OutputError: a number is NaN or infinite (JSON has none), or the file cannot be written.
        """
        if mask.ndim != 2:
            raise ShapeError(f"a mask must be (H, W), got shape {mask.shape}")
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        record = {
            "frame": int(frame),
            "time_s": round(float(time_s), 6),
            "object": int(object_id),
            "size": [int(side) for side in mask.shape],
            "counts": rle["counts"].decode("ascii"),
            "area_px": int(coco_mask.area(rle)),
            "bbox_xywh": [float(side) for side in coco_mask.toBbox(rle)],
            "object_score": None if object_score is None else float(object_score),
            "predicted_iou": None if predicted_iou is None else float(predicted_iou),
        }
        try:
            line = json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n"
        except ValueError as error:
            raise OutputError(f"a score of object {object_id} on frame {frame} is NaN or infinite: {record}") from error
        self._append(line.encode("ascii"))

    def _append(self, line: bytes) -> None:
        with writing(self.path):
            while line:
                count = os.write(self._file.fileno(), line)
                line = line[count:]
                self.written_bytes += count

    def close(self) -> None:
        """Close the file."""
        with writing(self.path):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_rle(path: Path | str) -> Iterator[RleRecord]:
    """The records of a file that `RleWriter` wrote, in order.

    A last line that was cut off (the program was killed, the disk was full) is passed over with a warning.

    Raises:
        DatasetError: no such file, or a line within it that is no record.
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise DatasetError(f"cannot read masks from {path} ({error.strerror})", "check the path") from error
    with file:
        for number, line in enumerate(file, start=1):
            try:
                yield _record(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                if not line.endswith(b"\n"):
                    log.warning("%s: line %d is cut off and left out", path, number)
                    return
                raise DatasetError(
                    f"line {number} of {path} is not a mask record ({error})",
                    "expected JSON with frame, time_s, object, size, counts, area_px and bbox_xywh",
                ) from error


def _record(row: dict[str, Any]) -> RleRecord:
    left, top, width, height = row["bbox_xywh"]
    rows, columns = row["size"]
    return RleRecord(
        frame=int(row["frame"]),
        time_s=float(row["time_s"]),
        object=int(row["object"]),
        size=(int(rows), int(columns)),
        counts=str(row["counts"]),
        area_px=int(row["area_px"]),
        bbox_xywh=(left, top, width, height),
        object_score=row.get("object_score"),
        predicted_iou=row.get("predicted_iou"),
    )
