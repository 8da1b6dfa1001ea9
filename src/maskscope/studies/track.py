"""Follow objects through a video and write what comes of it: the work behind `maskscope track`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal

import torch

from maskscope.data.source import VideoSource
from maskscope.data.video import open_video
from maskscope.errors import OutputError, PromptError, VideoError
from maskscope.memory.policies import policy_factory
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import preferred_dtype
from maskscope.studies.passes import Direction, Pass, Traversal, plan_passes
from maskscope.studies.recorder import USUAL_FPS, Recorder, Written, as_json, from_json
from maskscope.studies.render import render_overlay, sort_records
from maskscope.studies.result_folder import Json, ResultFolder
from maskscope.studies.run_facts import Clock, describe, facts, identity
from maskscope.tracking.prompts import POSITIVE, Prompt
from maskscope.tracking.saving import read_session

log = logging.getLogger(__name__)

Precision = Literal["auto", "float32", "bfloat16"]
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MAX_OBJECT_ID = 255  # of an indexed PNG


@dataclass(frozen=True)
class TrackOptions:
    """What is wanted of a run; together with video and prompts it decides the masks.

    Attributes:
        model: a name of `list_models()`, or a file of weights.
        device: PyTorch's name of it; None is the GPU if there is one, else the CPU.
        precision: of the heavy parts; `auto` is bfloat16 where that is measured to be faster.
        image_size: (height, width) of the model's input in multiples of 32; None is what the model was trained with.
        policy: name of a memory policy.
        frame: number of the frame that the prompts are for.
        direction: from there towards the end, towards the beginning, or both.
        max_frames: at most so many frames in each direction, the prompted one included.
        non_overlapping: give each pixel to one object.
        overlay: also write `overlay.mp4`.
    """

    model: str = "compact"
    device: str | None = None
    precision: Precision = "auto"
    image_size: tuple[int, int] | None = None
    policy: str = "stock"
    frame: int = 0
    direction: Direction = "forward"
    max_frames: int | None = None
    non_overlapping: bool = False
    overlay: bool = True


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
        next_frame: number of the frame it would go on with; None when finished.
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


def track_video(
    source: str | Path,
    prompts: Sequence[Prompt],
    out: str | Path,
    options: TrackOptions | None = None,
    *,
    video: VideoSource | None = None,
    model: SAM2 | None = None,
    overwrite: bool = False,
    save_every_s: float = 30.0,
    command: Sequence[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrackSummary:
    """Track objects through a video and write overlay, masks and `run.json` into a folder.

    Decoding, the model and writing overlap. An interrupted run (by `stop`, an exception or the end of the process)
    leaves readable results; the same call goes on after the last state saved. Live streams cannot be taken up again.

    Args:
        source: what `open_video` takes; with `video`, only what `run.json` calls it.
        prompts: one for each object, all for `options.frame`.
        out: the folder; made if need be.
        options: see `TrackOptions`.
        video: used instead of opening `source`.
        model: used instead of loading `options.model`, whose name is still what `run.json` says.
        overwrite: remove earlier results there first.
        save_every_s: how often the state is saved, in seconds.
        command: how the program was called, for `run.json`.
        progress: called after each frame.
        stop: asked after each frame; True saves and returns.

    Raises:
        VideoError: the video cannot be read, or has no such frame.
        PromptError: a prompt that cannot mean an object there, or an unknown policy.
        CheckpointError: the model cannot be had.
        ShapeError: an input size that is no multiple of 32.
        OutputError: the folder holds other results, or cannot be written.
    """
    options = options or TrackOptions()
    folder = ResultFolder(out)
    video = video or open_video(source)
    check_prompts(prompts, video)
    policy_factory(options.policy)
    passes = _passes(video, options)
    name = str(source)
    if "://" not in name and folder.holds(Path(name)):
        raise OutputError(f"the results would be written over the input {name}", "name another folder with --out")
    request: Json = {
        "input": identity(name),
        "frames_in_input": video.num_frames,
        "prompts": [describe(prompt) for prompt in prompts],
        **asdict(options),
        "model": identity(options.model),
    }
    earlier = folder.examine(request, overwrite)
    saved = read_session(folder.session) if earlier else None
    if model is None:
        model = _load(options, earlier)
    counts = [p.count for p in passes if p.count is not None]
    run = _Run(
        folder=folder,
        video=video,
        options=options,
        traversal=Traversal(
            model, video, prompts, options.frame, passes, options.policy, options.non_overlapping, saved
        ),
        total=sum(counts) if len(counts) == len(passes) else None,
        facts=facts(request, command, model, video, earlier["runs"] if earlier else []),
        written=from_json(saved.note["written"]) if saved else Written(),
        save_every_s=save_every_s,
        progress=progress,
        stop=stop,
    )
    if saved is None:
        folder.clear()
    return run.go()


def check_prompts(prompts: Sequence[Prompt], video: VideoSource) -> None:
    """Raise `PromptError` unless the prompts can mean objects of that video, and their masks can be written."""
    if not prompts:
        raise PromptError("nothing says which object to follow", "give a point, a box or a mask")
    for prompt in prompts:
        if not 1 <= prompt.object_id <= MAX_OBJECT_ID:
            raise PromptError(
                f"object number {prompt.object_id} cannot be written to a mask picture", f"use 1 to {MAX_OBJECT_ID}"
            )
        prompt.check(video.height, video.width)
        if prompt.mask is None and prompt.box_xyxy_px is None and prompt.labels and POSITIVE not in prompt.labels:
            raise PromptError(
                f"object {prompt.object_id} has only negative points", "give a point on the object, label 1"
            )


@dataclass(slots=True, eq=False)
class _Run:
    """One call of `track_video`, once everything is known to be in order."""

    folder: ResultFolder
    video: VideoSource
    options: TrackOptions
    traversal: Traversal
    total: int | None
    facts: Json
    written: Written
    save_every_s: float
    progress: Callable[[Progress], None]
    stop: Callable[[], bool]
    clock: Clock = field(default_factory=Clock)

    @property
    def live(self) -> bool:
        """Of a live stream nothing can be fetched again: no resuming, and stopping it is finishing."""
        return self.video.num_frames is None

    def go(self) -> TrackSummary:
        self.folder.write_run("running", self.facts)
        in_order = self.options.direction == "forward"
        self.clock = Clock()
        with Recorder(self.folder, self.video.fps, self.options.overlay and in_order, self.written) as recorder:
            stopped = self._track(recorder)
            recorder.flush()
            if stopped and not self.live:
                self._save()
        self.facts |= {"frames": self.written.frames, "runs": [*self.facts["runs"], self.clock.statistics()]}
        if stopped and not self.live:
            self.folder.write_run("stopped", self.facts)
            return self._summary(finished=False)
        if in_order:
            self._join(recorder)
        else:
            self._put_in_order()
        self.folder.write_run("finished", self.facts)
        self.folder.session.unlink(missing_ok=True)
        return self._summary(finished=not stopped)

    def _track(self, recorder: Recorder) -> bool:
        """All frames, or those before `stop`; True when it was that."""
        saved_at = time.perf_counter()
        self._report()
        with closing(self.traversal.steps()) as steps:
            for frame, result in steps:
                recorder.write(frame, result)
                self.clock.tick()
                self._report()
                if self.traversal.next_frame is not None and self.stop():
                    return True
                if not self.live and time.perf_counter() - saved_at >= self.save_every_s:
                    recorder.flush()
                    self._save()
                    saved_at = time.perf_counter()
        return False

    def _report(self) -> None:
        self.progress(Progress("tracking", self.written.frames, self.total))

    def _save(self) -> None:
        self.traversal.save(self.folder.session, {"written": as_json(self.written)})

    @staticmethod
    def _join(recorder: Recorder) -> None:
        try:
            recorder.join_overlay()
        except VideoError as error:
            log.warning("the overlay stays in parts: %s", error)

    def _put_in_order(self) -> None:
        """After going backwards."""
        sort_records(self.folder.records)
        if not self.options.overlay:
            return
        fps, count = self.video.fps or USUAL_FPS, self.written.frames
        drawn = render_overlay(self.video, self.folder.records, self.folder.overlay, fps)
        for done in drawn:
            self.progress(Progress("drawing", done, count))

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


def _passes(video: VideoSource, options: TrackOptions) -> list[Pass]:
    if options.max_frames is not None and options.max_frames < 1:
        raise VideoError(f"at most {options.max_frames} frames leave nothing to do", "give 1 or more")
    if video.num_frames is None:
        if options.direction != "forward":
            raise VideoError(f"{video.name} is a live stream and goes only forwards", "save it to a file first")
        if options.frame < 0:
            raise VideoError(f"frame {options.frame} is before the first", "frames count from 0")
    elif not 0 <= options.frame < video.num_frames:
        raise VideoError(
            f"{video.name} has no frame {options.frame}: it has {video.num_frames} frames",
            f"give a number from 0 to {video.num_frames - 1}",
        )
    return plan_passes(options.frame, options.direction, video.num_frames, options.max_frames)


def _load(options: TrackOptions, earlier: Json | None) -> SAM2:
    """The model; a resumed run keeps the precision it was begun with."""
    model = load_model(options.model, device=options.device, image_size=options.image_size)
    if earlier is not None:
        return model.set_precision(DTYPES[earlier["resolved"]["precision"]])
    return model.set_precision(
        preferred_dtype(model.device) if options.precision == "auto" else DTYPES[options.precision]
    )
