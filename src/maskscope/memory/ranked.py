"""Reading by rank instead of by age: the last six frames *written*, however long ago that was.

SAM 2 reads the six frames before the one at hand. A policy that refuses frames would leave it with holes, and after six
refusals in a row with nothing but the prompt. Read by rank, time stands still while nothing is written; where nothing
is refused both are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from maskscope.memory.bank import Eviction, MemoryBank
from maskscope.memory.policies.stock import StockPolicy, closest_prompted
from maskscope.memory.policy import Moment, PointerRead, Selection, SpatialRead


def behind(frames: Iterable[int], moment: Moment) -> list[int]:
    """Those before the frame at hand in tracking direction, newest first."""
    now, step = moment.frame_index, moment.step
    return sorted((t for t in frames if (now - t) * step > 0), reverse=step > 0)


def past(bank: MemoryBank, moment: Moment) -> list[int]:
    """All frames in memory before the one at hand, prompted and tracked, newest first."""
    return behind((*bank.prompted, *bank.tracked), moment)


class RankedPolicy(StockPolicy):
    """SAM 2's reading with recent frames by rank; which frames are recent, or anchors, is for subclasses to say.

    A policy whose `latest` has a mind that changes says with `wanted` all that it may come back to.

    Every method that is given `frames` gets indices of memories, newest first, and must answer from the newest frames
    that pass a test of their own: what newer frames have pushed out of the answer must not come back. Forgetting is
    lossless then.
    """

    def anchors(self, bank: MemoryBank, frames: Sequence[int], moment: Moment) -> list[int]:
        """Tracked frames to read as if they had been prompted, whatever their age."""
        return []

    def latest(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> list[int]:
        """At most `count` frames to read as recent ones, newest first; anchors are not among `frames`."""
        return list(islice(frames, count))

    def wanted(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, count: int) -> Iterable[int]:
        """Frames that `latest` may name from here on as long as no newer ones come."""
        return self.latest(bank, frames, moment, count)

    def pointed(self, bank: MemoryBank, frames: Sequence[int], moment: Moment, limit: int) -> list[PointerRead]:
        """Pointers to read, newest first, their distance by rank."""
        return [PointerRead(t, rank) for rank, t in zip(range(1, limit), frames, strict=False)]

    def remembered(self, bank: MemoryBank, frames: Sequence[int]) -> Iterable[int]:
        """Frames whose pointer or notes may still be asked for, beside those that `anchors` and `latest` name."""
        return islice(frames, self.config.max_pointers)

    def select(self, bank: MemoryBank, moment: Moment) -> Selection:
        """Prompted frames and anchors, then recent ones by rank; pointers of the same and of more recent ones."""
        prompted = closest_prompted(bank.prompted, moment.frame_index, self.config.max_prompted)
        frames = [t for t in past(bank, moment) if t not in prompted]
        anchors = [t for t in self.anchors(bank, frames, moment) if _readable(bank, t)]
        others = [t for t in frames if t not in anchors]
        oldest = self.config.num_frames - 1
        recent = self.latest(bank, others, moment, oldest - len(anchors))
        spatial = [SpatialRead(t, oldest) for t in (*prompted, *anchors)]
        spatial += reversed([SpatialRead(t, slot) for slot, t in enumerate(recent) if _readable(bank, t)])
        limit = self.pointer_limit(moment)
        pointers = self.prompted_pointers((*prompted, *anchors), moment) + self.pointed(bank, others, moment, limit)
        return Selection(tuple(spatial), tuple(pointers), limit)

    def evict(self, bank: MemoryBank, moment: Moment, pivots: Collection[int]) -> Eviction:
        """Lossless: what answers none of the questions above, from here or a pivot, in either direction."""
        features: set[int] = set()
        frames: set[int] = set()
        for place in {moment.frame_index, *pivots}:
            for reverse in (False, True):
                next_frame = Moment(place - 1 if reverse else place + 1, reverse)
                side = behind(bank.tracked, next_frame)
                anchors = self.anchors(bank, side, next_frame)
                others = [t for t in side if t not in anchors]
                features.update(anchors, self.wanted(bank, others, next_frame, self.config.num_frames - 1))
                frames.update(self.remembered(bank, side))
        frames |= features
        return Eviction(
            features=[t for t in bank.tracked if t not in features], frames=[t for t in bank.tracked if t not in frames]
        )


def _readable(bank: MemoryBank, frame_index: int) -> bool:
    memory = bank.get(frame_index)
    return memory is not None and memory.features_khw is not None
