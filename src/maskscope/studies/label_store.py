"""Label maps of a whole clip in little memory."""

from __future__ import annotations

import io
import zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from maskscope.data.label_maps import VOID_LABEL

# Runs of equal labels: five times as fast as the default's filters, and half the size.
_PNG = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
_KEPT = 8  # decoded ones, for those who ask about one frame several times


class LabelStore:
    """Label maps by frame, packed as PNG in memory: some kilobytes each; the latest stay unpacked."""

    def __init__(self) -> None:
        self._packed: list[NDArray[np.uint8]] = []
        self._unpacked: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def append(self, labels_hw: NDArray[np.uint8]) -> None:
        """Add the next frame's (h, w) uint8 map: 0 background, objects from 1, 255 void."""
        _, packed = cv2.imencode(".png", labels_hw, _PNG)
        self._packed.append(packed)
        self._keep(len(self._packed) - 1, labels_hw)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """(h, w) uint8; not to be written to."""
        found = self._unpacked.get(index)
        if found is None:
            found = np.asarray(cv2.imdecode(self._packed[index], cv2.IMREAD_GRAYSCALE), np.uint8)
            self._keep(index, found)
        return found

    def masks(self, index: int, object_ids: tuple[int, ...]) -> dict[int, NDArray[np.bool_]]:
        """(h, w) bool of each object, empty where it is not seen."""
        labels = self[index]
        return {number: labels == number for number in object_ids}

    def valid(self, index: int) -> NDArray[np.bool_] | None:
        """(h, w) bool, False at void pixels; None where there are none."""
        void = self[index] == VOID_LABEL
        return ~void if void.any() else None

    def to_bytes(self) -> bytes:
        """All maps, for a file."""
        content = io.BytesIO()
        np.savez(content, **{str(t): packed for t, packed in enumerate(self._packed)})  # type: ignore[arg-type]
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> LabelStore:
        """The inverse of `to_bytes`.

        Raises:
            ValueError: it is damaged.
        """
        store = cls()
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                store._packed = [found[str(t)] for t in range(len(found.files))]
        except (KeyError, EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError("no label maps, or damaged ones") from error
        return store

    def _keep(self, index: int, labels_hw: NDArray[np.uint8]) -> None:
        self._unpacked[index] = labels_hw
        while len(self._unpacked) > _KEPT:
            del self._unpacked[next(iter(self._unpacked))]
