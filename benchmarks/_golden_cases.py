"""Recorded runs of the official code on the disk, and the frames of DAVIS that they are about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskscope.errors import DatasetError
from maskscope.model import PRESETS

SIZES = {"t": "tiny", "s": "small", "b+": "base-plus", "l": "large"}
CASE_KEYS = {
    *("config", "sequence", "frames", "steps", "video_height", "video_width"),
    *("image_size", "occlusion_bias_key", "occlusion_bias_value", "stages"),
}
STEP_KEYS = {
    "mask": {"op", "frame", "object", "annotation"},
    "points": {"op", "frame", "object", "points", "labels", "box", "clear"},
    "box": {"op", "frame", "object", "points", "labels", "box", "clear"},
    "propagate": {"op", "start", "reverse"},
}

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One recorded run.

    Attributes:
        name: of its files.
        folder: where they are.
        preset: name of the model's configuration.
        sequence: DAVIS sequence.
        frames: DAVIS frame numbers; inside the case they count from 0.
        steps: what was said and done, in order.
        score_bias: (official parameter name, value) that replaces the weights' own, or None.
        video_size: (H, W).
        image_size: (H, W) of the model's input, None for the configuration's own.
    """

    name: str
    folder: Path
    preset: str
    sequence: str
    frames: tuple[int, ...]
    steps: tuple[dict[str, Any], ...]
    score_bias: tuple[str, float] | None
    video_size: tuple[int, int]
    image_size: tuple[int, int] | None = None

    @property
    def arrays(self) -> dict[str, Array]:
        """What the official code gave, by key."""
        with np.load(self.folder / f"{self.name}.npz") as file:
            return dict(file)


def find_cases(folder: Path, only: str | None = None) -> list[Path]:
    """The JSON files of all cases in a folder, or of those whose name contains `only`.

    Raises:
        DatasetError: no such folder, no case in it, or none called so.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder", "give the folder with the cases (*.json beside *.npz)")
    found = [path for path in sorted(folder.glob("*.json")) if _looks_like_case(path)]
    if not found:
        raise DatasetError(f"{folder} holds no case", "a case is NAME.json with config, frames and steps, and NAME.npz")
    chosen = [path for path in found if only is None or only in path.stem]
    if not chosen:
        raise DatasetError(f"no case is called {only!r}", f"there are {', '.join(path.stem for path in found)}")
    return chosen


def _looks_like_case(path: Path) -> bool:
    """Not a JSON file of another kind that happens to have an `.npz` beside it; what is broken counts as a case."""
    if not path.with_suffix(".npz").is_file():
        return False
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return True
    return isinstance(plain, dict) and ("config" in plain or "steps" in plain)


def read_case(path: Path) -> Case:
    """One case.

    Raises:
        DatasetError: the file does not describe one, or says something that is not known here.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        _only_known(path, "the case", plain, CASE_KEYS)
        for number, step in enumerate(plain["steps"]):
            if step["op"] not in STEP_KEYS:
                raise DatasetError(f"{path}: step {number} is {step['op']!r}", f"known: {', '.join(STEP_KEYS)}")
            _only_known(path, f"step {number}", step, STEP_KEYS[step["op"]])
        bias, size = plain.get("occlusion_bias_key"), plain.get("image_size")
        height, width = (None, None) if size is None else (size, size) if isinstance(size, int) else size
        return Case(
            name=path.stem,
            folder=path.parent,
            preset=preset_name(plain["config"]),
            sequence=plain["sequence"],
            frames=tuple(plain["frames"]),
            steps=tuple(plain["steps"]),
            score_bias=(bias, float(plain["occlusion_bias_value"])) if bias else None,
            video_size=(plain["video_height"], plain["video_width"]),
            image_size=None if size is None else (int(height), int(width)),
        )
    except DatasetError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{path} does not describe a case ({error!r})", "see the other cases for its form") from None


def _only_known(path: Path, what: str, plain: dict[str, Any], known: set[str]) -> None:
    """A key that is passed over would be a case compared with something else."""
    if unknown := sorted(plain.keys() - known):
        raise DatasetError(f"{path}: {what} has {', '.join(unknown)}", f"known: {', '.join(sorted(known))}")


def preset_name(config: str) -> str:
    """`sam2.1/sam2.1_hiera_b+` -> `sam2.1-hiera-base-plus`.

    Raises:
        DatasetError: not a released configuration.
    """
    family, _, size = config.rsplit("/", 1)[-1].removesuffix(".yaml").partition("_hiera_")
    name = f"{family}-hiera-{SIZES.get(size, size)}"
    if name not in PRESETS:
        raise DatasetError(f"the configuration {config!r} is not a released one", f"known: {', '.join(PRESETS)}")
    return name


def read_frames(case: Case, davis: Path) -> list[npt.NDArray[np.uint8]]:
    """The case's frames, (H, W, 3) RGB.

    Raises:
        DatasetError: a frame is missing or of another size than the case says.
    """
    frames = []
    for number in case.frames:
        with _open(davis / "JPEGImages" / "480p" / case.sequence / f"{number:05d}.jpg") as image:
            frames.append(np.array(image.convert("RGB")))
        if frames[-1].shape[:2] != case.video_size:
            raise DatasetError(
                f"frame {number} of {case.sequence} is {frames[-1].shape[:2]}, the case was made at {case.video_size}",
                "give DAVIS at 480p",
            )
    return frames


def read_annotation(case: Case, davis: Path, number: int) -> npt.NDArray[np.bool_]:
    """(H, W), every object of the annotation together."""
    with _open(davis / "Annotations" / "480p" / case.sequence / f"{number:05d}.png") as image:
        labels = np.array(image)
    return np.asarray(labels.reshape(*labels.shape[:2], -1).any(-1))


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except OSError as error:
        raise DatasetError(f"cannot read {path} ({error})", "give --davis a folder in DAVIS layout at 480p") from None
