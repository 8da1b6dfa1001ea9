"""Decoded training data in one memory-mapped file, so that workers neither decode nor copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maskscope.data.output import writing
from maskscope.errors import DatasetError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ArrayStore:
    """Named uint8 arrays, read without copying.

    Attributes:
        flat: all arrays end to end, one memory-mapped vector.
        table: name -> (offset, shape), in the order of writing.
        folder: where both lie; another process maps them itself instead of receiving a copy.
    """

    flat: Pixels
    table: dict[str, tuple[int, tuple[int, ...]]]
    folder: Path

    def __reduce__(self) -> tuple[Callable[[Path], ArrayStore], tuple[Path]]:
        return open_store, (self.folder,)

    def __getitem__(self, name: str) -> Pixels:
        """A read-only view of one array."""
        offset, shape = self.table[name]
        return self.flat[offset : offset + int(np.prod(shape))].reshape(shape)

    def names(self, prefix: str) -> list[str]:
        """Names that begin with `prefix`, in the order of writing."""
        return [name for name in self.table if name.startswith(prefix)]


def write_store(folder: Path, arrays: Iterable[tuple[str, Pixels]]) -> None:
    """Write arrays one after the other; the index comes last, so that a killed run leaves no half store.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    table: dict[str, tuple[int, tuple[int, ...]]] = {}
    offset = 0
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "arrays.bin", "wb") as file:
            for name, array in arrays:
                file.write(np.ascontiguousarray(array, dtype=np.uint8).tobytes())
                table[name] = (offset, array.shape)
                offset += array.size
        unfinished = folder / "index.json.part"
        unfinished.write_text(json.dumps(table))
        unfinished.rename(folder / "index.json")


def open_store(folder: Path) -> ArrayStore:
    """Map a written store.

    Raises:
        DatasetError: there is none, or its file is shorter than its index says.
    """
    index = folder / "index.json"
    if not index.is_file():
        raise DatasetError(f"no decoded data in {folder}", "build the cache first")
    table = {name: (offset, tuple(shape)) for name, (offset, shape) in json.loads(index.read_text()).items()}
    empty = (folder / "arrays.bin").stat().st_size == 0  # which cannot be mapped
    flat = np.empty(0, np.uint8) if empty else np.memmap(folder / "arrays.bin", dtype=np.uint8, mode="r")
    end = max((offset + int(np.prod(shape)) for offset, shape in table.values()), default=0)
    if flat.size < end:
        raise DatasetError(f"{folder / 'arrays.bin'} should have {end} bytes, got {flat.size}", "delete the folder")
    return ArrayStore(flat, table, folder)
