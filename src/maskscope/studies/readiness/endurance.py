"""How long a policy holds: the clip played forth and back without a cut, and occlusions of growing length."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from maskscope.model import SAM2
from maskscope.readiness.budget import Budget
from maskscope.readiness.figure import Bound, Figure
from maskscope.readiness.parts import Endurance, OcclusionTrial
from maskscope.readiness.survival import Episode, reprompt_interval, survival
from maskscope.studies.readiness.clean import CleanRun
from maskscope.studies.readiness.passes import LOST_J, PassResult, PassStore, Seen, View, mask_prompts
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.saving import load_tracker, save_tracker
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.transforms.base import ClipFrame, clip_generator
from maskscope.transforms.material import ClipMaterial

Kind = Literal["cover", "foreign"]
KINDS: Final[tuple[Kind, ...]] = ("cover", "foreign")
LOST_RUN: Final = 3
"""So many seen frames in a row without the object are a loss; one or two are a slip."""

SHOWN_SHARE: Final = 0.5
"""Of its usual area: a lost object is given again when so much of it is seen; a sliver is no prompt."""

LOSS_SHARE: Final = 0.05
_AREAS: Final = 12
_COVER_MARGIN: Final = 0.2  # of the object's sides


def there_and_back(num_frames: int, length: int) -> list[int]:
    """Frames 0 to the last and back again, and so on, without a cut: no frame is shown twice in a row."""
    period = max(2 * (num_frames - 1), 1)
    return [num_frames - 1 - abs(num_frames - 1 - t % period) for t in range(length)]


@dataclass(frozen=True, eq=False)
class EnduranceWork:
    """What the tests of endurance need; attributes as of `maskscope.studies.readiness.sweeps.SweepWork`."""

    model: SAM2
    clean: CleanRun
    prompts: Sequence[Prompt]
    budget: Budget
    store: PassStore

    def endurance(self, name: str, policy: str) -> Endurance:
        """Of one policy.

        Args:
            name: that its figures have.
            policy: NAME or NAME:key=value,...

        Raises:
            Stopped: the user asked to stop; finished passes are kept.
        """
        played = self.store.get(f"{policy} play", lambda done: self._play(policy, done))
        episodes = [Episode(int(frames), bool(lost)) for frames, lost, _ in played.facts["episodes"]]
        trials: list[OcclusionTrial] = []
        for kind in KINDS:
            for moment in self._moments():
                found = self._occlude(policy, kind, moment)
                trials += [OcclusionTrial(**each) for each in found.facts["trials"]]
        first = [(int(frames), bool(lost)) for frames, lost, begin in played.facts["episodes"] if begin == 0]
        lost_first = [frames for frames, lost in first if lost]
        horizon = min(lost_first) if lost_first else min((frames for frames, _ in first), default=0)
        again = reprompt_interval(episodes or [Episode(0, False)], LOSS_SHARE)
        return Endurance(
            policy=policy,
            horizon=Figure(
                name=f"{name}.horizon", value=float(horizon), unit="frames", metric="loss",
                bound="exact" if lost_first else "at least",
            ),
            frames_played=played.frames,
            losses=sum(each.lost for each in episodes),
            survival=survival(episodes or [Episode(0, False)]),
            longest_occlusion=self._longest(name, trials),
            trials=tuple(trials),
            reprompt_interval=Figure(
                name=f"{name}.reprompt_interval", value=again.frames, unit="frames", low=again.low, high=again.high,
                bound="at least" if again.at_least else "exact", metric="loss",
            ),
            loss_share=LOSS_SHARE,
        )  # fmt: skip

    def _longest(self, name: str, trials: Sequence[OcclusionTrial]) -> Figure:
        name, metric = f"{name}.longest_occlusion", "occlusion_found"
        if not trials:
            state = "no moment shows the object long enough to hide it"
            return Figure(name=name, value=None, unit="frames", metric=metric, state=state)
        held = 0
        for length in sorted({each.length_frames for each in trials}):
            if not all(each.found for each in trials if each.length_frames == length):
                break
            held = length
        bound: Bound = "at least" if held == max(each.length_frames for each in trials) else "exact"
        return Figure(name=name, value=float(held), unit="frames", bound=bound, metric=metric)

    # -- without a new prompt -----------------------------------------------------------------------------------------

    def _play(self, policy: str, done: Callable[[], None]) -> PassResult:
        """Play the clip forth and back; an object that is lost is given again once it shows, as an operator would."""
        source, objects = self.clean.source, self.clean.objects
        order = there_and_back(source.num_frames, self.budget.played(source.num_frames))
        tracker = Tracker(self.model, policy, SessionOptions())
        view = View(objects, (1, 1))
        began, missed = dict.fromkeys(objects, 0), dict.fromkeys(objects, 0)
        waiting: set[int] = set()
        usual = self._usual_areas()
        episodes: list[tuple[int, bool, int]] = []
        seen: list[Seen] = []
        for t, index in enumerate(order):
            frame = source.at(index)
            given = (
                list(self.prompts)
                if t == 0
                else mask_prompts(
                    self.model, frame, [i for i in sorted(waiting) if _area(frame, i) >= SHOWN_SHARE * usual[i]]
                )
            )
            rows = view.rows(t, index, frame, tracker.step(frame.image_hwc, given))
            for prompt in given:
                began[prompt.object_id], missed[prompt.object_id] = t, 0
                waiting.discard(prompt.object_id)
            told = {prompt.object_id for prompt in given}
            for row in rows:
                if row.object in told or row.object in waiting:
                    continue
                seen.append(row)
                if row.visible:
                    missed[row.object] = missed[row.object] + 1 if row.lost else 0
                if missed[row.object] == LOST_RUN:
                    episodes.append((t - LOST_RUN + 1 - began[row.object], True, began[row.object]))
                    waiting.add(row.object)
            done()
        end = len(order) - 1
        episodes += [(end - began[i], False, began[i]) for i in objects if i not in waiting and began[i] < end]
        return PassResult(tuple(seen), {}, len(order), {"episodes": [list(each) for each in episodes]})

    def _usual_areas(self) -> dict[int, float]:
        """Median area of each object over some frames that show it, px."""
        source = self.clean.source
        frames = [source.at(int(t)) for t in np.linspace(0, source.num_frames - 1, _AREAS).round()]
        seen = {i: [area for frame in frames if (area := _area(frame, i))] for i in self.clean.objects}
        return {i: float(np.median(areas)) if areas else 0.0 for i, areas in seen.items()}

    # -- occlusion ----------------------------------------------------------------------------------------------------

    def _moments(self) -> list[int]:
        """Frames at which the objects are seen, and were for some frames before, spread over the clip."""
        visible = {each.frame for each in self.clean.result.seen if each.visible and not each.lost}
        lead = min(self.budget.lead_frames, max(self.clean.source.num_frames // 4, 1))
        fit = [t for t in sorted(visible) if t > lead and all(t - k in visible for k in range(1, lead))]
        count = min(self.budget.occlusion_moments, len(fit))
        return [fit[round((k + 0.5) * len(fit) / count - 0.5)] for k in range(count)]

    def _occlude(self, policy: str, kind: Kind, moment: int) -> PassResult:
        return self.store.get(f"{policy} {kind} {moment}", lambda done: self._hide(policy, kind, moment, done))

    def _hide(self, policy: str, kind: Kind, moment: int, done: Callable[[], None]) -> PassResult:
        """Hide the objects from a moment on; at each length a copy of the tracker is shown what comes behind."""
        source, objects = self.clean.source, self.clean.objects
        longest = max(self.budget.lengths_frames)
        order = there_and_back(source.num_frames, moment + longest + self.budget.return_frames + 1)
        begin = max(moment - self.budget.lead_frames, 0)
        tracker, view = Tracker(self.model, policy, SessionOptions()), View(objects, (1, 1))
        seen: list[Seen] = []
        trials: list[dict[str, object]] = []
        frames = 0
        hidden = self._hidden(kind, moment, order)
        with tempfile.TemporaryDirectory() as folder:
            for t in range(begin, moment + longest):
                frame, shows = (source.at(order[t]), order[t]) if t < moment else (next(hidden), None)
                given = self._given(begin, frame) if t == begin else []
                rows = view.rows(frames, shows, frame, tracker.step(frame.image_hwc, given))
                seen += rows if t > begin else []
                frames += 1
                done()
                length = t - moment + 1
                if length in self.budget.lengths_frames:
                    save_tracker(tracker, Path(folder) / "fork.safetensors")
                    fork = load_tracker(Path(folder) / "fork.safetensors", self.model)
                    back = order[moment:] if kind == "foreign" else order[t + 1 :]
                    after = self._after(fork, view, back, frames, done)
                    frames += min(self.budget.return_frames, len(back))
                    seen += after
                    trials += self._judged(kind, moment, length, after)
        return PassResult(tuple(seen), {}, frames, {"trials": trials})

    def _given(self, begin: int, frame: ClipFrame) -> list[Prompt]:
        return list(self.prompts) if begin == 0 else mask_prompts(self.model, frame, self.clean.objects)

    def _after(
        self, fork: Tracker, view: View, back: Sequence[int], number: int, done: Callable[[], None]
    ) -> list[Seen]:
        rows: list[Seen] = []
        for k, index in enumerate(back[: self.budget.return_frames]):
            frame = self.clean.source.at(index)
            rows += view.rows(number + k, index, frame, fork.step(frame.image_hwc))
            done()
        return rows

    def _judged(self, kind: Kind, moment: int, length: int, after: Sequence[Seen]) -> list[dict[str, object]]:
        """Found again where every object that is seen again is, on some frame; nothing where none is seen again."""
        latencies: list[int | None] = []
        for number in self.clean.objects:
            rows = [row for row in after if row.object == number and row.visible]
            if rows:
                found = [row.frame for row in rows if row.j >= LOST_J]
                latencies.append(found[0] - rows[0].frame if found else None)
        if not latencies:
            return []
        known = [each for each in latencies if each is not None]
        found_all = len(known) == len(latencies)
        return [
            {
                "kind": kind, "frame": moment, "length_frames": length, "found": found_all,
                "latency_frames": max(known) if found_all else None,
            }
        ]  # fmt: skip

    def _hidden(self, kind: Kind, moment: int, order: Sequence[int]) -> Iterator[ClipFrame]:
        """Frames on which the objects are absent by construction."""
        source, longest = self.clean.source, max(self.budget.lengths_frames)
        rng = clip_generator(0, "readiness", kind, source.name, moment)
        material = ClipMaterial()
        if kind == "foreign":
            empty = np.zeros(source.size, np.uint8)
            for image in material.footage(rng, longest, source.size):
                yield ClipFrame(image, empty, empty)
            return
        texture = material.texture(rng, source.size)
        boxes: dict[int, tuple[int, int, int, int]] = {}
        for t in range(moment, moment + longest):
            frame = source.at(order[t])
            boxes |= {number: box for number in self.clean.objects if (box := _box(frame.amodal_hw == number))}
            yield _covered(frame, list(boxes.values()), texture, self.clean.objects)


def _area(frame: ClipFrame, number: int) -> int:
    return int(np.count_nonzero(frame.visible_hw == number))


def _covered(
    frame: ClipFrame,
    boxes: Sequence[tuple[int, int, int, int]],
    texture: NDArray[np.uint8],
    objects: Sequence[int],
) -> ClipFrame:
    """The frame with a surface before the objects, and nothing seen of them."""
    image = frame.image_hwc.copy()
    for top, bottom, left, right in boxes:
        image[top:bottom, left:right] = texture[top:bottom, left:right]
    visible = np.where(np.isin(frame.visible_hw, list(objects)), 0, frame.visible_hw).astype(np.uint8)
    return ClipFrame(image, visible, frame.amodal_hw, None, frame.source_time)


def _box(mask_hw: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """(top, bottom, left, right) around a mask, with a margin; None around none."""
    rows, columns = np.flatnonzero(mask_hw.any(1)), np.flatnonzero(mask_hw.any(0))
    if not rows.size:
        return None
    down = round(_COVER_MARGIN * (rows[-1] - rows[0] + 1)) + 2
    across = round(_COVER_MARGIN * (columns[-1] - columns[0] + 1)) + 2
    top, left = max(int(rows[0]) - down, 0), max(int(columns[0]) - across, 0)
    return top, int(rows[-1]) + 1 + down, left, int(columns[-1]) + 1 + across
