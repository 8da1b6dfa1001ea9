"""The training root: which files are which kind of example, and their decoded, cached form.

Layout of a root (every part may be missing, but something must be there):
    video/<set>/<sequence>/frames/*, masks/*.png    integer labels, 0 is background
    image/<set>/images/*, masks/*.png               labels as LABEL_RULES says
    cutouts/<set>/*.webp or <set>/<animation>/*     colour with alpha
    backgrounds/*                                   photos without masks
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from maskscope.errors import DatasetError
from maskscope.palette import davis_palette
from maskscope.training.checks import check_clip, matched
from maskscope.training.drawn import open_scenes
from maskscope.training.store import ArrayStore, Pixels, open_store, write_store

_log = logging.getLogger(__name__)

HELD_OUT = ("dog-agility", "drift-turn", "mallard-water", "swing")
"""Sequences kept for validation: never sampled, used to choose settings."""

REGION_SETS = ("bsds500", "ccp_fashion")
"""Image sets whose labels tile the picture: any label is a part, not an object."""

SUFFIXES = (".webp", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Corpus:
    """Decoded examples by kind; values are names in the store.

    Attributes:
        videos: sequence -> has `<name>/frames` (t, h, w, 3) and `<name>/masks` (t, h, w) labels.
        objects: stills with one object (label 1): `<name>/image` (h, w, 3), `<name>/mask` (h, w).
        regions: stills tiled by labels, same arrays.
        cutouts: (t, h, w, 4) colour with alpha; t = 1 for stills.
        backgrounds: (h, w, 3).
        scenes: drawn clips, arrays as of videos; None without.
    """

    store: ArrayStore
    videos: tuple[str, ...]
    objects: tuple[str, ...]
    regions: tuple[str, ...]
    cutouts: tuple[str, ...]
    backgrounds: tuple[str, ...]
    scenes: ArrayStore | None = None


def open_corpus(root: Path, cache: Path, held_out: tuple[str, ...] = HELD_OUT, scenes: int = 0) -> Corpus:
    """Decode a training root once into `cache` and map it.

    Args:
        root: folder laid out as above.
        cache: folder for the decoded data (about 2 GB for 2,000 frames and as many photos).
        held_out: names of sequences that are left out of `videos`.
        scenes: how many clips to draw beside them; about 2 s each, once.

    Raises:
        DatasetError: nothing that can be trained on is in `root`.
    """
    if not root.is_dir():
        raise DatasetError(f"no such folder: {root}", "give the folder that holds video, image, cutouts or backgrounds")
    folder = cache / f"{_digest(str(root.resolve()))}-{_digest(*_listing(root))}"
    if not (folder / "index.json").is_file():
        for older in sorted(cache.glob(f"{_digest(str(root.resolve()))}-*")):
            _log.info("%s was decoded from %s as it was before, and can be removed", older, root)
        write_store(folder, tqdm(_decode(root), desc="decoding training data", unit=" items", disable=None))
    store = open_store(folder)
    sequences = [name.removesuffix("/frames") for name in store.names("video/") if name.endswith("/frames")]
    stills = [name.removesuffix("/image") for name in store.names("image/") if name.endswith("/image")]
    corpus = Corpus(
        store=store,
        videos=tuple(name for name in sequences if name.rsplit("/", 1)[-1] not in held_out),
        objects=tuple(name for name in stills if name.split("/")[1] not in REGION_SETS or "ccp" in name),
        regions=tuple(name for name in stills if name.split("/")[1] in REGION_SETS),
        cutouts=tuple(store.names("cutouts/")),
        backgrounds=tuple(store.names("backgrounds/")),
        scenes=open_scenes(cache, scenes) if scenes else None,
    )
    if not corpus.videos and not corpus.objects and not corpus.cutouts:
        raise DatasetError(
            f"no video/, image/ or cutouts/ examples in {root}", "point at a folder laid out as documented"
        )
    return corpus


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def _listing(root: Path) -> list[str]:
    """Names, sizes and times of all files, so that data that was mended is decoded again."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() in SUFFIXES:
                facts = path.stat()
                found.append(f"{path.relative_to(root).as_posix()} {facts.st_size} {facts.st_mtime_ns}")
    return found


def held_out_sequences(corpus: Corpus, names: tuple[str, ...] = HELD_OUT) -> list[str]:
    """Store names of the validation sequences that exist."""
    return [
        n.removesuffix("/frames")
        for n in corpus.store.names("video/")
        if n.split("/")[-2] in names and n.endswith("/frames")
    ]


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _read(path: Path, flag: int) -> Pixels:
    image = cv2.imread(str(path), flag)
    if image is None:
        raise DatasetError(f"{path} is no image that can be read", "remove it or copy it again")
    return np.asarray(image, dtype=np.uint8)


def read_colour(path: Path) -> Pixels:
    """(h, w, 3) RGB."""
    return np.ascontiguousarray(_read(path, cv2.IMREAD_COLOR)[..., ::-1])


def read_labels(path: Path) -> Pixels:
    """(h, w) integer labels: the indices of an indexed file, the numbers that colours of DAVIS's palette stand for.

    Of any other picture with several channels, the first.
    """
    try:
        with Image.open(path) as image:
            labels = np.array(image if image.mode != "1" else image.convert("L"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{path} is no mask that can be read ({error})", "remove it or copy it again") from None
    if labels.max(initial=0) > 255:
        raise DatasetError(f"{path} has label {labels.max()}, expected 255 at most", "save it with 8 bits")
    if labels.ndim == 2:
        return labels.astype(np.uint8)
    return _of_palette(labels) if labels.shape[2] >= 3 else labels[..., 0].astype(np.uint8)


def _of_palette(colours: Pixels) -> Pixels:
    """Object numbers of a picture painted in the palette's colours; the first channel where it is not."""
    codes = colours[..., :3].astype(np.int64) @ (65536, 256, 1)
    number_of = {int(code): number for number, code in enumerate(davis_palette().astype(np.int64) @ (65536, 256, 1))}
    present, places = np.unique(codes, return_inverse=True)
    if any(int(code) not in number_of for code in present):
        return np.asarray(colours[..., 0], dtype=np.uint8)
    numbers: Pixels = np.array([number_of[int(code)] for code in present], np.uint8)
    return np.asarray(numbers[places.reshape(codes.shape)], dtype=np.uint8)


def _decode(root: Path) -> Iterator[tuple[str, Pixels]]:
    for sequence in (s for kind in _folders(root / "video") for s in _folders(kind)):
        paths = matched(sequence, *({p.stem: p for p in _files(sequence / part)} for part in ("frames", "masks")))
        frames, masks = [read_colour(p) for p in paths[0]], [read_labels(p) for p in paths[1]]
        check_clip(sequence, frames, masks)
        name = sequence.relative_to(root).as_posix()
        yield f"{name}/frames", np.stack(frames)
        yield f"{name}/masks", np.stack(masks)
    for kind in _folders(root / "image"):
        masks_of: dict[str, list[Path]] = {}
        for mask_path in _files(kind / "masks"):
            masks_of.setdefault(mask_path.stem, []).append(mask_path)
            masks_of.setdefault(re.sub(r"_\d$", "", mask_path.stem), []).append(mask_path)  # a second annotator's
        for image_path in _files(kind / "images"):
            image = read_colour(image_path)
            for mask_path in dict.fromkeys(masks_of.get(image_path.stem, [])):
                name = f"image/{kind.name}/{mask_path.stem}"
                yield f"{name}/image", image
                yield f"{name}/mask", _plain_labels(kind.name, read_labels(mask_path))
    for kind in _folders(root / "cutouts"):
        for path in _files(kind):
            yield f"cutouts/{kind.name}/{path.stem}", _read_cutout([path])
        for animation in _folders(kind):
            yield f"cutouts/{kind.name}/{animation.name}", _read_cutout(_files(animation))
    for path in _files(root / "backgrounds"):
        yield f"backgrounds/{path.stem}", read_colour(path)


def _plain_labels(kind: str, labels: Pixels) -> Pixels:
    """Object sets: 255 -> 1 and everything uncertain (128) -> 0; label maps stay."""
    if kind in REGION_SETS or labels.max(initial=0) < 128:
        return labels
    sure: Pixels = (labels == 255).astype(np.uint8)
    return sure


def _read_cutout(paths: list[Path]) -> Pixels:
    frames = [_read(path, cv2.IMREAD_UNCHANGED) for path in paths]
    return np.stack([cv2.cvtColor(f, cv2.COLOR_BGRA2RGBA) for f in frames]).astype(np.uint8)
