"""The work of one run, once everything is known to be in order: frames in, files out, and a state to go on from."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maskscope.data.output import writing
from maskscope.data.source import VideoSource
from maskscope.errors import MaskscopeError, VideoError
from maskscope.studies.passes import Traversal
from maskscope.studies.recorder import USUAL_FPS, Recorder, Written, as_json
from maskscope.studies.render import render_overlay, sort_records
from maskscope.studies.result_folder import Json, ResultFolder
from maskscope.studies.run_facts import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: what is being done.
        done: frames finished, those of earlier, interrupted runs included.
        total: how many there will be; None for a live stream.
    """

    stage: Literal["tracking", "drawing"]
    done: int
    total: int | None


@dataclass(frozen=True)
class TrackSummary:
    """What a run did.

    Attributes:
        folder: where the results are.
        finished: False when it was stopped.
        resumable: the same call goes on where it stopped.
        next_frame: number of the frame it would go on with; None when all frames are tracked.
        num_frames: frames written, those of earlier runs included.
        seconds: time this run took, decoding and writing included, loading the model not.
        fps: frames of this run in a second; 0 where it had none to do.
    """

    folder: Path
    finished: bool
    resumable: bool
    next_frame: int | None
    num_frames: int
    seconds: float
    fps: float


@dataclass(slots=True, eq=False)
class Run:
    """One call of `track_video`.

    Attributes:
        folder: locked, and cleared unless an earlier run is taken up.
        video: where the frames come from.
        traversal: what is left to do.
        in_order: frames come in order of time, so that the overlay can be drawn as they come.
        overlay: an overlay is wanted.
        masks: mask pictures are wanted.
        total: number of frames there will be; None if unknown.
        facts: content of `run.json`.
        written: what earlier runs have left.
        save_every_s: how often the state is saved, in seconds.
        progress: called after each frame.
        stop: asked after each frame.
    """

    folder: ResultFolder
    video: VideoSource
    traversal: Traversal
    in_order: bool
    overlay: bool
    masks: bool
    total: int | None
    facts: Json
    written: Written
    save_every_s: float
    progress: Callable[[Progress], None]
    stop: Callable[[], bool]
    clock: Clock = field(default_factory=Clock)
    _in_step: bool = True  # files and session stand at the same frame

    @property
    def live(self) -> bool:
        """Of a live stream nothing can be fetched again: no resuming, and stopping it is finishing."""
        return self.video.num_frames is None

    def go(self) -> TrackSummary:
        """Do it; whatever ends it, files are left whole, and `run.json` says how it ended."""
        self.folder.write_run("running", self.facts)
        self.clock = Clock()
        try:
            return self._work()
        except Exception as error:
            self._leave(error)
            raise

    def _work(self) -> TrackSummary:
        recorder = Recorder(
            self.folder,
            self.video.fps,
            self.written,
            overlay=self.overlay and self.in_order,
            masks=self.masks,
            num_frames=self.video.num_frames,
        )
        with recorder:
            try:
                stopped = self._track(recorder)
            except Exception:
                with contextlib.suppress(Exception):  # what stopped the work matters more
                    self._close(recorder)
                raise
            self._close(recorder)
        joined = True
        if not stopped and self.in_order:
            joined = self._join(recorder)
        elif not stopped:
            stopped = self._put_in_order()
        self._count_run()
        if stopped and not self.live:
            self.folder.write_run("stopped", self.facts)
            return self._summary(finished=False)
        self.folder.write_run("finished", self.facts)
        self.folder.tidy(parts=joined)
        return self._summary(finished=not stopped)

    def _track(self, recorder: Recorder) -> bool:
        """All frames, or those before `stop`; True when it was that."""
        save_at = 0.0  # at once: a run that dies early can then go on, too
        aside = False
        self._report()
        with closing(self.traversal.steps()) as steps:
            for frame, result in steps:
                self._in_step = False
                recorder.write(frame, result)
                self._in_step = True
                self.clock.tick()
                self._report()
                if self.traversal.next_frame is not None and self.stop():
                    return True
                if self.live:
                    continue
                if aside:
                    # An MP4 gets a frame only when the next one comes, so the state of a frame holds from then on.
                    recorder.flush()
                    with writing(self.folder.session):
                        self.folder.next_session.replace(self.folder.session)
                    aside = False
                elif time.perf_counter() >= save_at:
                    recorder.flush()
                    self._save(self.folder.next_session)
                    aside = True
                    save_at = time.perf_counter() + self.save_every_s
        return False

    def _report(self) -> None:
        self.progress(Progress("tracking", self.written.frames, self.total))

    def _close(self, recorder: Recorder) -> None:
        """Finish all files and save the state; not where they do not stand at the same frame."""
        recorder.flush()
        recorder.close()
        if not self.live and self.written.frames and self._in_step and self.traversal.between_frames:
            self._save(self.folder.session)

    def _save(self, path: Path) -> None:
        self.traversal.save(path, {"written": as_json(self.written)})

    def _leave(self, error: Exception) -> None:
        """Write how it ended; what fails now matters less than what ended it."""
        self._count_run()
        reason = str(error) if isinstance(error, MaskscopeError) else f"{type(error).__name__}: {error}"
        status: Literal["broken", "failed"] = "broken" if self.live and isinstance(error, VideoError) else "failed"
        if status == "broken":
            log.warning("%d frames came and are in %s", self.written.frames, self.folder.path)
        try:
            self.folder.write_run(status, self.facts | {"reason": reason})
        except Exception as failure:
            log.warning("%s", failure)

    def _count_run(self) -> None:
        self.facts |= {"frames": self.written.frames, "runs": [*self.facts["runs"], self.clock.statistics()]}

    @staticmethod
    def _join(recorder: Recorder) -> bool:
        """Whether the overlay is one file."""
        try:
            recorder.join_overlay()
        except VideoError as error:
            log.warning("the overlay stays in parts: %s", error)
            return False
        return True

    def _put_in_order(self) -> bool:
        """After going backwards; True when stopped. Till all is done the lines stay as the saved session knows them."""
        ordered = self.folder.ordered_records
        try:
            sort_records(self.folder.records, ordered)
            if self.overlay and self._draw(ordered):
                return True
            with writing(self.folder.records):
                ordered.replace(self.folder.records)
            return False
        finally:
            with contextlib.suppress(OSError):
                ordered.unlink(missing_ok=True)

    def _draw(self, records: Path) -> bool:
        """The overlay from sorted lines; True when stopped."""
        fps, count = self.video.fps or USUAL_FPS, self.written.frames
        with closing(render_overlay(self.video, records, self.folder.overlay, fps)) as drawn:
            for done in drawn:
                self.progress(Progress("drawing", done, count))
                if done < count and self.stop():
                    return True
        return False

    def _summary(self, finished: bool) -> TrackSummary:
        statistics = self.clock.statistics()
        return TrackSummary(
            self.folder.path,
            finished,
            resumable=not finished and not self.live,
            next_frame=self.traversal.next_frame,
            num_frames=self.written.frames,
            seconds=statistics["seconds"],
            fps=statistics["frames_per_s"],
        )
