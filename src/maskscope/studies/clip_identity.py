"""What tells one clip of a data set from another, wherever its files lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from maskscope.data.dataset import AnnotatedSequence

_CHUNK_BYTES = 1 << 20


def clip_digest(sequence: AnnotatedSequence) -> str:
    """SHA-256 in hexadecimal over the clip's frames and masks: of the bytes of their files, else of their pixels.

    Names and places of files do not count, their order does. A sequence without lists of its files is decoded.
    """
    digest = hashlib.sha256()
    frames, masks = getattr(sequence, "frame_paths", None), getattr(sequence, "mask_paths", None)
    if frames is not None and masks is not None:
        digest.update(f"files {getattr(sequence, 'single_object', False)}\n".encode())
        for place, path in (*_flat("frame", frames), *_flat("mask", masks)):
            digest.update(place.encode())
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
        return digest.hexdigest()
    digest.update(b"pixels\n")
    for index in range(sequence.num_frames):
        digest.update(np.ascontiguousarray(sequence.frame(index)).data)
        for number, mask in sorted(sequence.object_masks(index).items()):
            digest.update(f"{index} {number} {mask.shape}".encode())
            digest.update(np.packbits(mask).data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; read once while it does not change."""
    state = path.stat()
    return _file_digest(path.resolve(), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _file_digest(path: Path, size: int, modified_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flat(place: str, paths: Any) -> Iterator[tuple[str, Path]]:
    """Files in nested lists and mappings, each with its place."""
    if isinstance(paths, Path):
        yield f"{place}\n", paths
    elif isinstance(paths, Mapping):
        for key in sorted(paths):
            yield from _flat(f"{place} {key}", paths[key])
    elif isinstance(paths, Sequence):
        for index, part in enumerate(paths):
            yield from _flat(f"{place} {index}", part)
