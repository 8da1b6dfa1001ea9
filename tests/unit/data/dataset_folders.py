"""Tiny data sets in every layout, whose content is known: two squares, of which the second comes late or leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from maskscope.palette import davis_palette

HEIGHT, WIDTH = 12, 20


def square(left: int, top: int = 2, side: int = 4) -> np.ndarray:
    """`(H, W)` bool."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def labels(**objects: np.ndarray) -> np.ndarray:
    """A label map of `_1=mask, _2=mask`; later ones are on top."""
    picture = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for name, mask in objects.items():
        picture[mask] = int(name[1:])
    return picture


def save_frames(folder: Path, stems: Iterable[str], size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, stem in enumerate(stems):
        Image.fromarray(np.full((*size, 3), 40 + 10 * index, np.uint8)).save(folder / f"{stem}.jpg")


def save_mask(path: Path, picture: np.ndarray, indexed: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(picture.astype(np.uint8))
    if indexed:
        image.putpalette(davis_palette().tobytes())
    image.save(path)


def save_masks(folder: Path, masks: Mapping[str, np.ndarray]) -> None:
    for stem, picture in masks.items():
        save_mask(folder / f"{stem}.png", picture)


def numbers(count: int, step: int = 1, start: int = 0, digits: int = 5) -> list[str]:
    return [f"{start + step * index:0{digits}d}" for index in range(count)]


def pair(index: int) -> np.ndarray:
    """Object 1 goes a pixel to the right each frame, object 2 stays."""
    return labels(_1=square(index), _2=square(15, top=7, side=3))


def davis(root: Path) -> Path:
    """Sequences `pair` (two objects, indexed) and `alone` (black and white), four frames each."""
    for name in ("pair", "alone"):
        save_frames(root / "JPEGImages/480p" / name, numbers(4))
    save_masks(root / "Annotations/480p/pair", {stem: pair(i) for i, stem in enumerate(numbers(4))})
    for index, stem in enumerate(numbers(4)):
        save_mask(root / f"Annotations/480p/alone/{stem}.png", square(index) * 255, indexed=False)
    return root


def davis_test(root: Path) -> Path:
    """Two sequences with the first mask only."""
    for name in ("one", "two"):
        save_frames(root / "JPEGImages/480p" / name, numbers(4))
        save_masks(root / "Annotations/480p" / name, {"00000": pair(0)})
    return root


def youtube_train(root: Path) -> Path:
    """One video, every fifth frame; object 2 comes on the third of five."""
    stems = numbers(5, step=5)
    save_frames(root / "JPEGImages/3245e049fb", stems)
    masks = {stem: pair(i) if i >= 2 else labels(_1=square(i)) for i, stem in enumerate(stems)}
    save_masks(root / "Annotations/3245e049fb", masks)
    return with_objects(root / "meta.json", {"3245e049fb": {1: stems, 2: stems[2:]}})


def youtube_valid(root: Path) -> Path:
    """The same video with masks only where an object comes."""
    stems = numbers(5, step=5)
    save_frames(root / "JPEGImages/3245e049fb", stems)
    late = labels(_2=square(15, top=7, side=3))
    save_masks(root / "Annotations/3245e049fb", {stems[0]: labels(_1=square(0)), stems[2]: late})
    return with_objects(root / "meta.json", {"3245e049fb": {1: stems, 2: stems[2:]}})


def with_objects(path: Path, videos: Mapping[str, Mapping[int, list[str]]]) -> Path:
    content = {
        name: {"objects": {str(label): {"category": "cat", "frames": stems} for label, stems in objects.items()}}
        for name, objects in videos.items()
    }
    path.write_text(json.dumps({"videos": content}), encoding="utf-8")
    return path.parent


def mose(root: Path) -> Path:
    """One video of seven frames; object 2 is away on frames 2 and 3, and again on the last."""
    save_frames(root / "JPEGImages/002b4dce", numbers(7))
    masks = {s: labels(_1=square(i)) if i in (2, 3, 6) else pair(i) for i, s in enumerate(numbers(7))}
    save_masks(root / "Annotations/002b4dce", masks)
    return root


def mose_valid(root: Path) -> Path:
    save_frames(root / "JPEGImages/0a1b2c3d", numbers(4))
    save_masks(root / "Annotations/0a1b2c3d", {"00000": pair(0)})
    return root


def lvos(root: Path) -> Path:
    """One video of six frames, numbered 1, 6, 11 ...; object 2 comes on the third."""
    stems = numbers(6, step=5, start=1, digits=8)
    save_frames(root / "JPEGImages/0tCWPOrc", stems)
    masks = {stem: pair(i) if i >= 2 else labels(_1=square(i)) for i, stem in enumerate(stems)}
    save_masks(root / "Annotations/0tCWPOrc", masks)
    ranges = {"1": {"start": "1", "end": "26", "frame_nums": "6"}, "2": {"start": "11", "end": "26", "frame_nums": "4"}}
    objects = {label: {"frame_range": frame_range} for label, frame_range in ranges.items()}
    content = {"videos": {"0tCWPOrc": {"objects": objects}}}
    (root / "val_meta.json").write_text(json.dumps(content), encoding="utf-8")
    (root / "val_expression_meta.json").write_text('{"videos": {}}', encoding="utf-8")
    return root


def sav(root: Path) -> Path:
    """Nine frames, masks on every fourth; a person (000) with a hand (001) that comes on frame 4 and overlaps."""
    save_frames(root / "JPEGImages_24fps/sav_000262", numbers(9))
    for index, stem in enumerate(numbers(3, step=4)):
        masks = root / "Annotations_6fps/sav_000262"
        save_mask(masks / "000" / f"{stem}.png", square(index, side=6) * 255, indexed=False)
        save_mask(masks / "001" / f"{stem}.png", square(index, side=2) * (255 if index else 0), indexed=False)
    (root / "sav_val.txt").write_text("sav_000262\n", encoding="utf-8")
    return root


def sav_train(root: Path) -> Path:
    """A video of nine frames with run-length encoded masks of the same two objects on every fourth."""
    save_video(root / "sav_000/sav_000001.mp4", 9)
    rows = [[encoded(square(i, side=6)), encoded(square(i, side=2) & (i > 0))] for i in range(3)]
    save_masklets(root / "sav_000/sav_000001_manual.json", rows)
    return root


def encoded(mask: np.ndarray) -> dict[str, object]:
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode("ascii")}


def save_masklets(path: Path, rows: list[list[dict[str, object] | None]]) -> None:
    path.write_text(json.dumps({"video_id": path.stem[:10], "masklet": rows}), encoding="utf-8")


def save_video(path: Path, frames: int) -> None:
    """Lossless, 24 frames a second; frame i is grey 40 + 10 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        stream.options = {"qp": "0"}
        for index in range(frames):
            picture = np.full((HEIGHT, WIDTH, 3), 40 + 10 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def video(root: Path) -> Path:
    """`clip.mp4` with `clip.png`, and the images `stills/` with `stills.png`."""
    save_video(root / "clip.mp4", 5)
    save_mask(root / "clip.png", pair(0))
    save_frames(root / "stills", numbers(3))
    save_mask(root / "stills.png", square(3) * 255, indexed=False)
    return root


MAKERS: dict[str, tuple[str, Callable[[Path], Path], list[str]]] = {
    "davis": ("davis", davis, ["alone", "pair"]),
    "davis test-dev": ("davis-test", davis_test, ["one", "two"]),
    "youtube-vos train": ("youtube-vos", youtube_train, ["3245e049fb"]),
    "youtube-vos valid": ("youtube-vos", youtube_valid, ["3245e049fb"]),
    "mose train": ("mose", mose, ["002b4dce"]),
    "mose valid": ("mose", mose_valid, ["0a1b2c3d"]),
    "lvos": ("lvos", lvos, ["0tCWPOrc"]),
    "sa-v": ("sa-v", sav, ["sav_000262"]),
    "sa-v train": ("sa-v-train", sav_train, ["sav_000001"]),
    "video": ("video", video, ["clip", "stills"]),
}
"""What it is -> its layout, how it is made, names of its sequences."""
