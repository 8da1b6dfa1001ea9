"""What is wrong with the files of one sequence: its frames, and label maps that go with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.data.folders import MASK_SUFFIXES, files_by_stem, listed
from maskscope.data.label_maps import VOID_LABEL, object_labels, read_labels
from maskscope.data.picture import IMAGE_SUFFIXES, image_size
from maskscope.data.problems import Kind, Problem
from maskscope.errors import DatasetError, MaskscopeError

Size = tuple[int, int]


@dataclass(frozen=True)
class Expectations:
    """What a layout promises of one sequence.

    Attributes:
        masked: stems of the frames that must have a mask.
        objects: object -> stems of the frames where metadata lists it; None without metadata.
        late_objects: objects may appear after the first mask.
        numbered_from_one: objects are 1, 2, 3 ... without a gap.
        empty_masks: a mask may be empty once an object has been shown.
    """

    masked: frozenset[str]
    objects: Mapping[int, frozenset[str]] | None = None
    late_objects: bool = True
    numbered_from_one: bool = False
    empty_masks: bool = True


@dataclass(frozen=True)
class MaskFacts:
    """What a check wants to know of one mask file.

    Attributes:
        size: `(height, width)` in pixels.
        mode: Pillow's name of how pixels are stored, such as "P" for indices.
        labels: numbers that occur, 0 and 255 included.
        colours_clash: two of them have one colour, or one has none.
    """

    size: Size
    mode: str
    labels: frozenset[int]
    colours_clash: bool


def check_label_maps(name: str, images: Path, annotations: Path, expected: Expectations) -> list[Problem]:
    """What is wrong with a folder of frames and its folder of label maps; all files are read."""
    frames, size, problems = check_frames(name, images)
    masks = files_by_stem(annotations, MASK_SUFFIXES)
    problems += stray_files(name, annotations)
    if not masks:
        return [*problems, Problem(name, Kind.no_masks, f"expected PNGs in {annotations}")]
    problems += check_pairs(name, frames, masks, expected.masked)
    facts: dict[str, MaskFacts] = {}
    for stem, path in masks.items():
        came, found = check_mask(name, stem, path, size)
        problems += found
        if came is not None:
            facts[stem] = came
    modes = Counter(fact.mode for fact in facts.values())
    if len(modes.keys() & {"P", "L"}) > 1:
        detail = ", ".join(f"{count} of mode {mode}" for mode, count in modes.most_common())
        problems.append(Problem(name, Kind.mask_mode, f"indexed and grey masks in one sequence: {detail}"))
    if facts:
        problems += _check_objects(name, facts, frozenset(frames), expected)
    return problems


def check_frames(name: str, folder: Path) -> tuple[dict[str, Path], Size | None, list[Problem]]:
    """Frames by stem, the size that most have (height, width in pixels), and what is wrong with them."""
    frames = files_by_stem(folder, IMAGE_SUFFIXES)
    if not frames:
        return {}, None, [Problem(name, Kind.no_frames, f"expected images in {folder}")]
    problems = [
        Problem(name, Kind.doubled_frame, f"{count} images have one name, the last is taken", stem)
        for stem, count in Counter(path.stem for path in _images(folder)).items()
        if count > 1
    ]
    problems += [Problem(name, Kind.missing_frame, detail, stem) for stem, detail in _gaps(list(frames))]
    sizes: dict[str, Size] = {}
    for stem, path in frames.items():
        try:
            sizes[stem] = _decoded_size(path)
        except MaskscopeError as error:
            problems.append(Problem(name, Kind.unreadable, error.problem, stem))
    usual = Counter(sizes.values()).most_common(1)[0][0] if sizes else None
    problems += [
        Problem(name, Kind.frame_size, f"{_pixels(size)}, most frames are {_pixels(usual)}", stem)
        for stem, size in sizes.items()
        if usual is not None and size != usual
    ]
    return frames, usual, problems


def check_pairs(
    name: str, frames: Mapping[str, Path], masks: Mapping[str, Path], masked: frozenset[str], whose: str = ""
) -> list[Problem]:
    """Masks of no frame, and frames without the mask they must have."""
    return [
        *(
            Problem(name, Kind.missing_frame, f"there is a mask{whose} and no frame of this name", stem)
            for stem in masks
            if frames and stem not in frames
        ),
        *(
            Problem(name, Kind.missing_mask, f"expected a mask{whose} of this name", stem)
            for stem in sorted(masked & (frames.keys() - masks.keys()))
        ),
    ]


def check_mask(name: str, stem: str, path: Path, size: Size | None) -> tuple[MaskFacts | None, list[Problem]]:
    """What one mask file holds, None if it cannot be read, and what is wrong with it.

    Args:
        name: of the sequence.
        stem: of the frame.
        path: the file.
        size: of the frames in pixels, (height, width); None where no frame can be read.
    """
    try:
        facts = _mask_facts(path)
    except DatasetError as error:
        colours = "in colours" in error.problem
        return None, [Problem(name, Kind.mask_mode if colours else Kind.unreadable, error.problem, stem)]
    problems: list[Problem] = []
    if size is not None and facts.size != size:
        problems.append(
            Problem(name, Kind.mask_size, f"the mask is {_pixels(facts.size)}, frames are {_pixels(size)}", stem)
        )
    if facts.mode not in ("P", "L"):
        detail = f"stored as {facts.mode}, expected an indexed or grey picture of 8 bits"
        problems.append(Problem(name, Kind.mask_mode, detail, stem))
    if facts.colours_clash:
        problems.append(Problem(name, Kind.palette, "two labels in use have the same colour, or one has none", stem))
    return facts, problems


def stray_files(name: str, annotations: Path) -> list[Problem]:
    """Pictures among the masks that are no PNG, and so are not read."""
    return [
        Problem(name, Kind.stray_file, f"{path.name} lies among the masks and is not read: masks are PNG", path.stem)
        for path in (_images(annotations) if annotations.is_dir() else ())
        if path.suffix.lower() not in MASK_SUFFIXES
    ]


def _check_objects(
    name: str, facts: Mapping[str, MaskFacts], stems: frozenset[str], expected: Expectations
) -> Iterator[Problem]:
    """Object numbers over the masks of one sequence, in order of time."""
    first = next(iter(facts))
    binary = facts[first].labels <= {0, VOID_LABEL} and VOID_LABEL in facts[first].labels
    shown: dict[int, list[str]] = {}
    given: frozenset[int] | None = None  # objects of the first mask that shows any
    late: frozenset[int] = frozenset()
    for stem, fact in facts.items():
        if binary and not fact.labels <= {0, VOID_LABEL}:
            detail = f"the first mask is black and white, this one holds {_numbers(fact.labels - {0, VOID_LABEL})}"
            yield Problem(name, Kind.mask_mode, detail, stem)
        here = frozenset({1}) if binary and fact.labels - {0} else fact.labels - {0, VOID_LABEL}
        if not here:
            harmless = expected.empty_masks and given is not None
            yield Problem(name, Kind.empty_mask, "it shows no object", stem, harmless)
        elif given is None:
            given = here
        if given is not None and not expected.late_objects and (strangers := here - given - late):
            detail = f"object {_numbers(strangers)} is not on the first mask, which holds {_numbers(given)}"
            yield Problem(name, Kind.unlisted_id, detail, stem)
            late |= strangers
        for label in here - late:
            shown.setdefault(label, []).append(stem)
    if expected.objects is not None:
        yield from _check_listed(name, shown, facts, stems, expected.objects)
    elif expected.numbered_from_one and shown and (skipped := set(range(1, max(shown))) - shown.keys()):
        detail = f"objects are {_numbers(shown)}: {_numbers(skipped)} left out, expected 1, 2, 3 ..."
        yield Problem(name, Kind.id_gap, detail)


def _check_listed(
    name: str,
    shown: Mapping[int, Sequence[str]],
    facts: Mapping[str, MaskFacts],
    stems: frozenset[str],
    objects: Mapping[int, frozenset[str]],
) -> Iterator[Problem]:
    """Objects of the masks against those that metadata lists."""
    for label in sorted(shown.keys() - objects.keys()):
        detail = f"object {label} is on {len(shown[label])} masks, listed are {_numbers(objects)}"
        yield Problem(name, Kind.unlisted_id, detail, shown[label][0])
    for label, where in sorted(objects.items()):
        if absent := sorted(where - stems):
            detail = f"object {label} is listed on frames that are not there: {listed(absent)}"
            yield Problem(name, Kind.missing_frame, detail, absent[0])
        if label not in shown:
            yield Problem(name, Kind.missing_object, f"object {label} is listed, but no mask shows it")
        elif where and min(where) in facts and shown[label][0] != min(where):
            detail = f"object {label} is listed from {min(where)} on, masks show it from {shown[label][0]} on"
            yield Problem(name, Kind.first_frame, detail, shown[label][0])


def _mask_facts(path: Path) -> MaskFacts:
    labels = read_labels(path)
    present = frozenset(object_labels(labels)) | ({0} if (labels == 0).any() else frozenset())
    present |= {VOID_LABEL} if (labels == VOID_LABEL).any() else frozenset()
    with Image.open(path) as image:
        mode = image.mode
        palette = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3) if mode == "P" else None
    return MaskFacts(labels.shape, mode, present, palette is not None and _clash(palette, sorted(present)))


def _clash(palette: NDArray[np.uint8], labels: list[int]) -> bool:
    colours = {tuple(palette[label].tolist()) for label in labels if label < len(palette)}
    return len(colours) < len(labels)


def _decoded_size(path: Path) -> Size:
    """Size of an image, `(height, width)`, after reading it to its end: the header alone does not tell a torn file.

    Raises:
        VideoError: it is not an image.
        DatasetError: it is torn.
    """
    size = image_size(path)
    try:
        with Image.open(path) as image:
            image.draft(
                "RGB", (max(1, image.width // 8), max(1, image.height // 8))
            )  # a JPEG is read whole, drawn small
            image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"cannot read {path} to its end ({error})", "remove or re-export this file") from error
    return size


def _gaps(stems: list[str]) -> Iterator[tuple[str, str]]:
    """Numbers that are left out, where the names of frames are numbers that go up in equal steps."""
    if len(stems) < 3 or not all(stem.isdecimal() for stem in stems):
        return
    steps = Counter(int(after) - int(before) for before, after in pairwise(stems))
    step = min(size for size, count in steps.items() if count == max(steps.values()))
    for before, after in pairwise(stems):
        if int(after) - int(before) > step > 0:
            yield after, f"after {before} comes {after}, frames are numbered in steps of {step}"


def _images(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]


def _pixels(size: Size) -> str:
    return f"{size[1]}x{size[0]}"


def _numbers(labels: Mapping[int, object] | frozenset[int] | set[int]) -> str:
    return listed([str(label) for label in sorted(labels)], most=8)
