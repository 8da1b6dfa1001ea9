"""The clean run and its transformed ones go through the clip together, so that frames of one moment can be compared.

The clean run goes ahead by a frame; then every transformed run goes on as far as it shows what the clean one has seen.
Nothing of a frame is kept but figures, and a few small pictures: memory grows with the records only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from maskscope.data.overlay import OverlayWriter, draw_overlay
from maskscope.model import SAM2
from maskscope.observe.counterpart import Counterpart
from maskscope.observe.measures.filtering import Filtering
from maskscope.observe.probe import Measure
from maskscope.report.page.diagnosis import Picture
from maskscope.studies.diagnosis_folder import PICTURES_NAME
from maskscope.studies.keeping import Keeping
from maskscope.studies.looked_at import moved_prompts
from maskscope.studies.observed_run import Instruments, ObservedRun, Seen
from maskscope.studies.rerun_recording import AS_FILMED
from maskscope.studies.stage_pictures import Snapshots, small
from maskscope.tracking.prompts import Prompt
from maskscope.transforms.base import Clip
from maskscope.transforms.chain import Recipe

STRIPS: Final = 4  # frames of each clip that are shown stage by stage, beside those of losses
OVERLAY_HEIGHT_PX: Final = 240
LOST_J: Final = 0.5
_USUAL_FPS: Final = 24.0


@dataclass(eq=False)
class Disturbed:
    """A transformed clip, the run through it, and how it differs from the clean run.

    Attributes:
        recipe: of the transformation.
        clip: the transformed clip.
        prompts: as they are seen on its first frame.
        filtering: compares it with the clean run.
        counterparts: frame -> the clean clip's frame of the same moment, of frames that were reached.
        snapshots: what its strips are made of.
        run: through the clip.
        video: clean beside transformed; None before its first frame.
    """

    recipe: Recipe
    clip: Clip
    prompts: list[Prompt]
    counterparts: dict[int, Counterpart] = field(default_factory=dict)
    snapshots: Snapshots = field(default_factory=Snapshots)
    video: OverlayWriter | None = None

    def __post_init__(self) -> None:
        self.filtering = Filtering(self.clip.size, self.counterpart)
        self._run: ObservedRun | None = None

    @property
    def run(self) -> ObservedRun:
        """Through the clip, from `begin` on."""
        assert self._run is not None
        return self._run

    @property
    def slug(self) -> str:
        """Of the recipe, for names of files."""
        kind = self.recipe.family if self.recipe.variant is None else f"{self.recipe.family}-{self.recipe.variant}"
        seed = f"-{self.recipe.seed}" if self.recipe.seed else ""
        return f"{kind}-{self.recipe.severity}{seed}"

    @property
    def video_name(self) -> str:
        """Path of its video inside the diagnosis' folder."""
        return f"{PICTURES_NAME}/{self.slug}.mp4"

    def begin(self, model: SAM2, policy: str, clean: ObservedRun, keeping: Keeping | None = None) -> None:
        """Make the run, which is compared with the clean one."""
        instruments = Instruments(
            measures=(self.filtering.disturbed,),
            sink=self.snapshots.see if keeping is None else keeping.sink(self.slug, (self.snapshots.see,)),
            maps=self.snapshots.point,
            wants_maps=self.snapshots.wants,
        )
        self._run = ObservedRun(model, self.clip, self.prompts, policy, instruments, clean)

    def counterpart(self, frame: int) -> Counterpart:
        """The clean frame of the same moment, of a frame that was reached."""
        return self.counterparts[frame]

    def ready(self, clean_frame: int | None) -> bool:
        """Whether the next frame shows what the clean run has seen, or nothing that it will see.

        Args:
            clean_frame: how far the clean run is; None once it is at its end.
        """
        if self.run.done:
            return False
        frame = self.run.look()
        self.counterparts[self.run.next_frame] = Counterpart.of(frame.source_time, frame.to_source)
        return clean_frame is None or frame.source_time is None or frame.source_time <= clean_frame

    @property
    def same_moments(self) -> dict[int, int]:
        """Frame -> clean frame, where there is one."""
        return {t: found.frame for t, found in self.counterparts.items() if found.frame is not None}


@dataclass(eq=False)
class SideBySide:
    """All runs of a diagnosis.

    Args:
        model: that tracks.
        source: the clean clip, with masks.
        prompts: on its first frame.
        disturbed: transformed clips, from `disturb`.
        policy: of memory.
        folder: of the diagnosis; videos go into its pictures.
        fps: of the videos; None where the clip does not say.
        keeping: is shown all that the runs show.
        measures: more of them, for the clean run alone.
    """

    model: SAM2
    source: Clip
    prompts: Sequence[Prompt]
    disturbed: Sequence[Disturbed]
    policy: str
    folder: Path
    fps: float | None = None
    keeping: Keeping | None = None
    measures: Sequence[Measure] = ()

    def __post_init__(self) -> None:
        self.snapshots = Snapshots(strip_frames(self.source.num_frames))
        instruments = Instruments(
            taps=True,
            measures=(*(each.filtering.clean for each in self.disturbed), *self.measures),
            sink=self.keeping.sink(AS_FILMED, (self.snapshots.see,)) if self.keeping else self.snapshots.see,
            maps=self.snapshots.point,
            wants_maps=self.snapshots.wants,
        )
        self.clean = ObservedRun(self.model, self.source, self.prompts, self.policy, instruments)
        for each in self.disturbed:
            each.snapshots.wanted |= self.snapshots.wanted  # of equal number: strips are stacked
            each.begin(self.model, self.policy, self.clean, self.keeping)
        self._shown: NDArray[np.uint8] | None = None  # of the clean run, with masks

    @property
    def total(self) -> int:
        """Frames of all runs."""
        return self.source.num_frames + sum(each.clip.num_frames for each in self.disturbed)

    @property
    def done(self) -> int:
        """Frames tracked."""
        return self.clean.next_frame + sum(each.run.next_frame for each in self.disturbed)

    def go(self, tick: Callable[[], bool]) -> bool:
        """All runs to their ends, or until `tick`, asked after each frame, says stop; True if they came to their ends.

        Raises:
            OutputError: a video cannot be written.
        """
        try:
            while not self.clean.done:
                t = self.clean.next_frame
                seen = self.clean.step()
                self.snapshots.take(t, seen)
                if self.keeping is not None:
                    self.keeping.take(t, seen)
                self._shown = _drawn(seen)
                if tick():
                    return False
                for each in self.disturbed:
                    while each.ready(t if not self.clean.done else None):
                        self._step(each)
                        if tick():
                            return False
            return True
        finally:
            for each in self.disturbed:
                if each.video is not None:
                    each.video.close()

    def _step(self, each: Disturbed) -> None:
        t = each.run.next_frame
        seen = each.run.step()
        each.snapshots.take(t, seen)
        if self.keeping is not None:
            self.keeping.take(t, seen, each.slug)
        lost = [scored for scored in seen.scored if scored.success < LOST_J]
        if lost and not any(s.success < LOST_J for s in each.run.scored[: -len(seen.scored)]):
            # The first loss is worth a strip. What is inside the model is gone by now: the next frame shows it.
            each.snapshots.wanted.add(t + 1)
            self.snapshots.wanted.add(t + 1)
        if self._shown is not None:
            self._write(each, np.concatenate((self._shown, _drawn(seen)), axis=1))

    def _write(self, each: Disturbed, picture: NDArray[np.uint8]) -> None:
        if each.video is None:
            height, width = picture.shape[:2]
            path = self.folder / each.video_name
            each.video = OverlayWriter(path, self.fps or _USUAL_FPS, height, width, overwrite=True)
        each.video.write(picture)

    def videos(self, clip: str) -> list[Picture]:
        """What was written, for the facts."""
        return [
            Picture(
                file=each.video_name,
                kind="overlay",
                clip=clip,
                family=each.recipe.family,
                severity=each.recipe.severity,
            )
            for each in self.disturbed
            if each.video is not None
        ]


def disturb(recipe: Recipe, clip: Clip, prompts: Sequence[Prompt]) -> Disturbed:
    """A transformed clip, with the prompts as its first frame shows them.

    Raises:
        PromptError: it does not show what a prompt means.
    """
    return Disturbed(recipe, clip, moved_prompts(prompts, clip.at(0)))


def strip_frames(num_frames: int) -> set[int]:
    """Frames from all over a clip, but for the first, where there is no memory yet."""
    return {int(t) for t in np.linspace(1, num_frames - 1, STRIPS).round()}


def _drawn(seen: Seen) -> NDArray[np.uint8]:
    ids = list(seen.masks)
    masks = np.stack([seen.masks[i] for i in ids])
    return small(draw_overlay(seen.frame.image_hwc, masks, ids), OVERLAY_HEIGHT_PX)
