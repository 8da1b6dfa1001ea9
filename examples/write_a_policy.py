"""A memory policy of one's own: write only frames on which the object was seen well, and read the latest of those."""

from dataclasses import dataclass

from maskscope import Prompt, Tracker, load_model, open_video
from maskscope.assets import demo_clip
from maskscope.memory.bank import MemoryBank
from maskscope.memory.policies import registry
from maskscope.memory.policy import Moment, Outcome
from maskscope.memory.ranked import RankedPolicy
from maskscope.memory.settings import PolicyKind, ReadSettings, check_range
from maskscope.model.config import MemoryConfig


@dataclass(frozen=True)
class PickySettings(ReadSettings):
    """What a frame must have to be written.

    Attributes:
        least_iou: predicted IoU, 0..1.
    """

    least_iou: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "least_iou", 0, 1)


class PickyPolicy(RankedPolicy):
    """SAM 2's in everything else; of the frames written it reads the last six."""

    def __init__(self, config: MemoryConfig, settings: PickySettings) -> None:
        super().__init__(config)
        self.settings = settings

    def admit(self, outcome: Outcome, bank: MemoryBank, moment: Moment) -> bool:
        """Seen, and the mask is thought to be good."""
        return outcome.visible and outcome.summary.predicted_iou >= self.settings.least_iou


PICKY = PolicyKind("picky", "writes frames on which the object was seen well", "here", PickyPolicy, PickySettings)


def main() -> None:
    registry.add(PICKY)  # in a package: an entry point of the group "maskscope.policies"
    clip = demo_clip()
    mask = clip.masks[0] == clip.object_ids[0]
    for policy in ("stock", "picky", "picky:least_iou=0.75"):
        tracker = Tracker(load_model(), policy)
        for frame in open_video(clip.video_path).frames(0, 6):
            tracker.step(frame.rgb, [Prompt(1, mask=mask)] if frame.index == 0 else [])
        print(f"{policy:22}  frames in memory: {sorted(tracker.session.tracks[1].bank.tracked)}")


if __name__ == "__main__":
    main()
