"""The positions' features on disk: a Zarr group that any program opens, written frame by frame.

    FEATURES.zarr/                  attributes: clip, model, policy, ..., status ("running", "stopped", "finished")
      frame                         (frames,) int32: numbers in the source clip
      image_embedding               (frames, channels, rows, columns)
      memory_conditioned/object_1   likewise, of each object
      object_pointer/object_1       (frames, channels)

Each frame is a chunk of its own, written whole, so that what an interruption leaves can be read. NaN is a frame that
was not reached, or on which the position gives nothing (no memory is read on the prompted frame).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from maskscope.data.output import writing
from maskscope.errors import OutputError, SettingError
from maskscope.extras import load_extra
from maskscope.observe.probe import Sight
from maskscope.stages import STAGES, Stage

FORMAT: Final = "maskscope.features/1"
Precision = Literal["float16", "float32"]
_SHARED: Final = "image_embedding"  # one map for all objects
_LARGEST: Final = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class FeatureChoice:
    """What is kept of a run.

    Attributes:
        path: the Zarr group, a folder; must not exist, unless it is an earlier one that may be replaced.
        stages: positions.
        dtype: of the numbers on disk; float16 keeps three digits and half the room, beyond ±65504 it is clipped.

    Raises:
        SettingError: an unknown position or precision, or no position.
    """

    path: Path
    stages: tuple[Stage, ...] = STAGES
    dtype: Precision = "float16"

    def __post_init__(self) -> None:
        unknown = [stage for stage in self.stages if stage not in STAGES]
        if unknown or not self.stages:
            what = f"there is no position {unknown[0]!r}" if unknown else "no position is named"
            raise SettingError(what, f"choose of {', '.join(STAGES)}")
        if self.dtype not in ("float16", "float32"):
            raise SettingError(f"features cannot be kept as {self.dtype!r}", "choose float16 or float32")


class FeatureFile:
    """Writes what the positions show; holds nothing in memory.

    Args:
        choice: what is kept, and where.
        num_frames: of the run.
        first_frame: number, in the source clip, of the run's frame 0.
        video_size: (height, width) in pixels, which a map covers whatever its grid, for the strides.
        about: JSON values, kept as attributes of the group.
        overwrite: replace an earlier group of features there.

    Raises:
        SettingError: Zarr is not installed.
        OutputError: something is there already, or it cannot be written.
    """

    def __init__(
        self,
        choice: FeatureChoice,
        num_frames: int,
        first_frame: int,
        video_size: tuple[int, int],
        about: Mapping[str, Any],
        overwrite: bool = False,
    ) -> None:
        self.choice, self._frames, self._video_size = choice, num_frames, video_size
        self._zarr = load_extra("zarr", "features", "saved features")
        _make_room(choice.path, self._zarr, overwrite)
        self._arrays: dict[str, Any] = {}
        with writing(choice.path):
            self._group = self._zarr.create_group(str(choice.path))
            self._group.attrs.update({"format": FORMAT, "status": "running", **about})
            numbers = np.arange(first_frame, first_frame + num_frames, dtype=np.int32)
            self._group.create_array("frame", data=numbers, dimension_names=("frame",))

    def see(self, sight: Sight) -> None:
        """Write one object's features of one position, if that is chosen.

        Raises:
            OutputError: the disk is full, say; what was written before is readable.
        """
        if sight.tap or sight.stage not in self.choice.stages or sight.frame >= self._frames:
            return
        if sight.stage != _SHARED and sight.object is None:
            return
        name = sight.stage if sight.stage == _SHARED else f"{sight.stage}/object_{sight.object}"
        features: NDArray[Any] = sight.features.detach().float().cpu().numpy()
        if self.choice.dtype == "float16":
            features = features.clip(-_LARGEST, _LARGEST)
        with writing(self.choice.path):
            if name not in self._arrays:
                self._arrays[name] = self._new_array(name, sight, features.shape)
            self._arrays[name][sight.frame] = features.astype(self.choice.dtype)

    def _new_array(self, name: str, sight: Sight, shape: tuple[int, ...]) -> Any:
        attributes: dict[str, Any] = {"stage": sight.stage}
        if sight.stage != _SHARED:
            attributes["object"] = sight.object
        if len(shape) == 3:
            attributes["stride_video_px"] = [self._video_size[side] / shape[1 + side] for side in (0, 1)]
        return self._group.create_array(
            name,
            shape=(self._frames, *shape),
            chunks=(1, *shape),
            dtype=self.choice.dtype,
            fill_value=float("nan"),
            attributes=attributes,
            dimension_names=("frame", "channel", "row", "column")[: 1 + len(shape)],
        )

    def close(self, status: str) -> None:
        """Note how far it came: "finished" or "stopped".

        Raises:
            OutputError: it cannot be written.
        """
        with writing(self.choice.path):
            self._group.attrs["status"] = status


def _make_room(path: Path, zarr: Any, overwrite: bool) -> None:
    """Remove an earlier group of features, and nothing else."""
    if not path.exists():
        return
    try:
        ours = zarr.open_group(str(path), mode="r").attrs.get("format") == FORMAT
    except Exception:  # whatever it is, it is not one of ours
        ours = False
    if not ours:
        raise OutputError(f"{path} is there and holds no saved features", "name another with --save-features")
    if not overwrite:
        raise OutputError(f"{path} holds features already", "name another with --save-features, or add --overwrite")
    with writing(path):
        shutil.rmtree(path)
