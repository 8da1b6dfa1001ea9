"""What to change when a position is to blame for the loss of an object: the one place that words it.

Data only. The diagnosis attaches these words to a loss and the page prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from maskscope.stages import Stage


@dataclass(frozen=True, slots=True)
class Remedy:
    """Of a position.

    Attributes:
        where: what happens there, in words for somebody who does not know the model; after "lost".
        change: what to change, after "change".
        because: why that helps, half a sentence.
        by_policy: whether another memory policy is the way to do it.
    """

    where: str
    change: str
    because: str
    by_policy: bool = False

    def __str__(self) -> str:
        """As one sentence."""
        return f"Change {self.change}: {self.because}."


_WRITTEN: Final = "what is written to memory (a memory policy such as --policy composite)"

REMEDIES: Final[Mapping[Stage, Remedy]] = {
    "image_embedding": Remedy(
        "in the picture itself, before any memory is used",
        "camera, light, resolution or frame rate",
        "no setting of the tracker brings back what the camera does not deliver",
    ),
    "memory_conditioned": Remedy(
        "where the picture is compared with memory",
        "the memory policy (such as --policy composite)",
        "the picture still shows the object, memory no longer leads to it",
        by_policy=True,
    ),
    "prompt_attended": Remedy(
        "where the mask is drawn",
        "the prompt: another one, or more clicks",
        "the object is represented up to there, and the mask is drawn wrongly from it",
    ),
    "object_pointer": Remedy(
        "where the object is summed up for later frames",
        _WRITTEN,
        "a wrong summary misleads the frames after it",
        by_policy=True,
    ),
    "memory_features": Remedy(
        "where the frame is written to memory",
        _WRITTEN,
        "a wrong memory misleads the frames after it",
        by_policy=True,
    ),
}
