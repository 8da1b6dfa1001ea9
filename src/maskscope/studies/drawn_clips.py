"""Made-up clips as a data set without files: any number, drawn when asked, also on and on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope import __version__
from maskscope.data.problems import Problem
from maskscope.data.synthetic.config import SyntheticConfig
from maskscope.data.synthetic.scene import Scene
from maskscope.errors import DatasetError

LAYOUT: Final = "drawn"
USUAL_CLIPS: Final = 4

_CONFIG: Final = SyntheticConfig(num_frames=72, height_px=288, width_px=512, num_objects=2, blur_samples=1)
_WORDS: Final = re.compile(r"drawn(?::(?P<count>[0-9]+))?")


def drawn_count(dataset: str | Path) -> int | None:
    """How many clips `drawn` or `drawn:COUNT` asks for; None where it is a folder, or anything else.

    Raises:
        DatasetError: a count of 0.
    """
    found = _WORDS.fullmatch(str(dataset))
    if found is None or Path(dataset).exists():
        return None
    count = int(found["count"] or USUAL_CLIPS)
    if count < 1:
        raise DatasetError(f"{dataset} has no clip", "ask for one or more, such as drawn:4")
    return count


@dataclass(frozen=True)
class DrawnDataset:
    """Clips `drawn-01` and so on; each has another seed, every second one a trunk instead of a thicket.

    Args:
        count: how many.
        config: of the clips, their seeds counting on from its own.
    """

    count: int
    config: SyntheticConfig = _CONFIG

    layout = LAYOUT

    @property
    def sequences(self) -> Sequence[str]:
        """Their names."""
        return tuple(f"drawn-{number:02d}" for number in range(1, self.count + 1))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[DrawnSequence]:
        return (self[name] for name in self.sequences)

    def __getitem__(self, name: str) -> DrawnSequence:
        """One sequence.

        Raises:
            DatasetError: no such sequence.
        """
        if name not in self.sequences:
            raise DatasetError(f"there is no drawn clip {name}", f"there are: {', '.join(self.sequences)}")
        number = self.sequences.index(name) + 1
        occlusion = self.config.occlusion if number % 2 else "partial"
        return _sequence(name, replace(self.config, seed=self.config.seed + number, occlusion=occlusion))

    def check_layout(self) -> list[Problem]:
        """None: there are no files."""
        return []

    def check(self, name: str) -> list[Problem]:
        """None."""
        return []


@dataclass(frozen=True)
class DrawnSequence:
    """One made-up clip; see `SyntheticConfig` for what it shows."""

    name: str
    config: SyntheticConfig

    prompts_only = False

    def prolonged(self, num_frames: int, absence_frames: int, seen_frames: int) -> DrawnSequence:
        """The same animal on a longer way: hidden again and again, and in the middle the camera looks elsewhere.

        Args:
            num_frames: of the longer clip.
            absence_frames: for which it is hidden each time, and twice as many out of the picture.
            seen_frames: between the end of one hiding and the next, about twice as many.
        """
        middle = num_frames // 2
        config = replace(
            self.config,
            num_frames=num_frames,
            occlusion="full",
            occlusion_frames=absence_frames,
            occlusion_start=None,
            occlusion_every=2 * seen_frames + absence_frames,
            disappear=(middle, min(middle + 2 * absence_frames, num_frames - 1)),
        )
        return DrawnSequence(self.name, config)

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of all that decides the clip: nothing has to be drawn to tell it from another."""
        content = {"drawn": asdict(self.config), "maskscope": __version__}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def num_frames(self) -> int:
        """The configuration's."""
        return self.config.num_frames

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self.config.height_px, self.config.width_px

    @property
    def fps(self) -> float | None:
        """The configuration's."""
        return self.config.fps

    @property
    def annotated_frames(self) -> Sequence[int]:
        """All."""
        return range(self.num_frames)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The target is 1."""
        return tuple(range(1, self.config.num_objects + 1))

    @cached_property
    def first_frames(self) -> Mapping[int, int]:
        """Object -> the first frame that shows it; an object that none shows is left out."""
        found: dict[int, int] = {}
        for index in range(self.num_frames):
            for number in np.unique(self.masks(index)):
                if number:
                    found.setdefault(int(number), index)
            if len(found) == len(self.object_ids):
                break
        return found

    def frame(self, index: int) -> NDArray[np.uint8]:
        """`(H, W, 3)` uint8 RGB."""
        return self._scene.picture(index)

    def masks(self, index: int) -> NDArray[np.uint8]:
        """`(H, W)` uint8 label map of what is seen: 0 background, 1 the target, 2 and more others of its kind."""
        return self._scene.masks(index)[0]

    def object_masks(self, index: int) -> dict[int, NDArray[np.bool_]]:
        """Every object, `(H, W)` bool."""
        labels = self.masks(index)
        return {number: np.asarray(labels == number) for number in self.object_ids}

    @cached_property
    def _scene(self) -> Scene:
        return Scene(self.config)


@lru_cache(maxsize=2)
def _sequence(name: str, config: SyntheticConfig) -> DrawnSequence:
    """Kept for a while: building a scene takes longer than drawing some frames of it."""
    return DrawnSequence(name, config)
