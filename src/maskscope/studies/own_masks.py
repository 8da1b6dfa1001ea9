"""What stands in for truth where a clip has none: the undisturbed run's own masks, and the way back to the prompt.

Both can only show where the model disagrees with itself. A run that follows the wrong thing from the first frame on,
calmly and in both directions, looks perfect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maskscope.data.label_maps import label_map
from maskscope.errors import PromptError
from maskscope.model import SAM2
from maskscope.observe.reading import Reading
from maskscope.studies.label_store import LabelStore
from maskscope.studies.looked_at import LookedAt
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker

FORWARD_BACKWARD = "forward_backward_j"
NOT_SEEN = "not seen on either way"


@dataclass(frozen=True, eq=False)
class SelfLabelled:
    """A clip with masks that a tracker made, as `maskscope.transforms.base.LabelledSequence` has it."""

    clip: LookedAt
    labels: LabelStore = field(default_factory=LabelStore)

    @property
    def name(self) -> str:
        """The clip's."""
        return self.clip.name

    @property
    def num_frames(self) -> int:
        """The clip's."""
        return self.clip.num_frames

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.clip.size

    def frame(self, index: int) -> NDArray[np.uint8]:
        """(h, w, 3) uint8 RGB."""
        return self.clip.frame(index)

    def masks(self, index: int) -> NDArray[np.uint8]:
        """(h, w) uint8 label map."""
        return self.labels[index]


def own_masks(model: SAM2, clip: LookedAt, prompts: Sequence[Prompt], policy: str, into: SelfLabelled) -> Iterator[int]:
    """Track the clip and keep the masks; hands out the number of frames done after each.

    Args:
        model: that tracks.
        clip: what is tracked.
        prompts: on its first frame.
        policy: of memory.
        into: is given the masks.

    Raises:
        PromptError: an object is seen on no frame behind the first.
    """
    tracker = Tracker(model, policy, SessionOptions(num_frames=clip.num_frames))
    seen: set[int] = set()
    for t in range(clip.num_frames):
        result = tracker.step(clip.frame(t), prompts if t == 0 else ())
        labels = labels_of(result)
        into.labels.append(labels)
        if t:
            seen.update(int(number) for number in np.unique(labels) if number)
        yield t + 1
    if missing := sorted({prompt.object_id for prompt in prompts} - seen):
        raise PromptError(
            f"object {missing[0]} of {clip.name} is seen on no frame behind the one it was given on",
            "mark it otherwise, or begin on another frame with --frame",
        )


def way_back(
    model: SAM2, clip: SelfLabelled, policy: str, object_ids: tuple[int, ...], tick: Callable[[int], bool]
) -> list[Reading]:
    """Track from the last masks back to the first frame, and compare the masks of both ways.

    `forward_backward_j`, 0..1, of each frame but the last; 1 where the way back finds the same pixels. It is high for
    what is easy to follow, and says nothing of which thing is followed. An object that the way out has lost in the end
    starts from the last frame that shows it.

    Args:
        model: that tracks.
        clip: with the masks of the way out.
        policy: of memory.
        object_ids: whose masks.
        tick: told the number of frames done after each; True stops, and what came so far is returned.
    """
    last = {i: next((t for t in reversed(range(clip.num_frames)) if (clip.masks(t) == i).any()), 0) for i in object_ids}
    tracker = Tracker(model, policy, SessionOptions(num_frames=clip.num_frames))
    begun: set[int] = set()
    readings: list[Reading] = []
    for done, t in enumerate(reversed(range(max(last.values()) + 1)), start=1):
        labels = clip.masks(t)
        prompts = [Prompt(i, mask=labels == i) for i in object_ids if last[i] == t and (labels == i).any()]
        found = tracker.step(clip.frame(t), prompts)
        masks = dict(zip(found.object_ids, found.masks, strict=True))
        readings += [_agreement(masks[i], labels == i, t, i) for i in sorted(begun)]
        begun.update(prompt.object_id for prompt in prompts)
        if tick(done):
            break
    return readings


def labels_of(result: FrameResult) -> NDArray[np.uint8]:
    """(h, w) uint8 label map of a tracked frame, the strongest where masks overlap."""
    logits = result.mask_logits_nhw.float().cpu().numpy()
    return label_map(logits > 0, result.object_ids, logits)


def _agreement(back: NDArray[np.bool_], out: NDArray[np.bool_], frame: int, object_id: int) -> Reading:
    union = int((back | out).sum())
    value = float((back & out).sum()) / union if union else None
    return Reading(
        metric=FORWARD_BACKWARD, value=value, state=None if union else NOT_SEEN, frame=frame, object=object_id
    )
