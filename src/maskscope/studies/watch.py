"""A monitor of a running installation: every frame is tracked and measured, and drift raises an alarm.

Nothing is kept but counts and what the tracker's bounded memory holds, so that it can run for as long as the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from maskscope.data.source import Frame, VideoSource
from maskscope.errors import SettingError, VideoError
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import preferred_dtype
from maskscope.observe.measures.window_distance import METRIC, WindowDistance
from maskscope.observe.probe import Probe
from maskscope.picture.course import way_of
from maskscope.picture.frame import frame_measures
from maskscope.readiness.parts import WatchLimit
from maskscope.studies.track import DTYPES, Precision, check_prompts
from maskscope.studies.watch_limits import Alarms
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.tracker import Tracker

DISTANCE_STAGE: Final = "image_embedding"
"""Where the distance to memory is measured: the picture as the model sees it, before memory is used."""

Outcome = Literal["ended", "alarm", "stream stopped", "interrupted"]
Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How a stream is watched.

    Attributes:
        model: a name of `list_models()`, or a file of weights.
        device: PyTorch's name of it; None is the GPU if there is one, else the CPU.
        precision: of the heavy parts.
        image_size: (height, width) of the model's input; None is what it was trained with.
        policy: of memory.
        hold_frames: a signal has to be outside of its range for so many frames in a row, 1 or more.
        keep_going: go on after an alarm.
        every: a line is written for each so many frames; alarms always.
        max_frames: stop after so many; None is never.
    """

    model: str = "compact"
    device: str | None = None
    precision: Precision = "auto"
    image_size: tuple[int, int] | None = None
    policy: str = "stock"
    hold_frames: int = 25
    keep_going: bool = False
    every: int = 1
    max_frames: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("hold", self.hold_frames), ("every", self.every), ("max-frames", self.max_frames)):
            if value is not None and value < 1:
                raise SettingError(f"--{name} is {value}", "give 1 or more")


@dataclass(frozen=True, slots=True)
class WatchSummary:
    """How watching ended.

    Attributes:
        outcome: "alarm" where one was raised, whatever came after; "stream stopped" where a live stream ended or broke
            off; "ended" at the end of a file or after `max_frames`; "interrupted" where it was asked to stop.
        frames: looked at.
        alarms: raised, as (frame, object, signal), the first hundred.
        message: one line on what happened.
    """

    outcome: Outcome
    frames: int
    alarms: tuple[tuple[int, int, str], ...]
    message: str


def watch_stream(
    video: VideoSource,
    prompts: Sequence[Prompt],
    limits: Sequence[WatchLimit],
    options: WatchOptions | None = None,
    *,
    model: SAM2 | None = None,
    write: Callable[[Mapping[str, Any]], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> WatchSummary:
    """Track objects through a stream and hold every frame to limits.

    `write` gets one mapping a frame and object, `{"type": "frame", "frame", "time_s", "object", "signals", "outside"}`,
    one for each alarm, `{"type": "alarm", "frame", "time_s", "object", "signal", "value", "low", "high"}`, and a last
    one, `{"type": "end", "outcome", "frames", "alarms", "message"}`. Units are those of `maskscope.picture` and
    `maskscope.readiness.result`; signals that a frame does not have are left out.

    Args:
        video: what is watched.
        prompts: what the objects are, on the first frame that comes.
        limits: ranges of signals, see `maskscope.studies.watch_limits`.
        options: see `WatchOptions`.
        model: used instead of loading `options.model`.
        write: gets what was measured.
        stop: asked after each frame; True ends it.

    Raises:
        PromptError: a prompt that cannot mean an object there.
        CheckpointError: the model cannot be had.
    """
    options = options or WatchOptions()
    check_prompts(prompts, video)
    if model is None:
        model = load_model(options.model, device=options.device, image_size=options.image_size)
        dtype = preferred_dtype(model.device) if options.precision == "auto" else DTYPES[options.precision]
        model = model.set_precision(dtype)
    watch = _Watch(model, prompts, limits, options, write)
    outcome, why = _run(watch, video, options, stop)
    if watch.count and outcome != "interrupted":
        outcome = "alarm"
    first = (
        f"{watch.count} alarms, the first at frame {watch.alarms[0][0]}: {watch.alarms[0][2]}" if watch.count else ""
    )
    message = "; ".join(filter(None, (first, why)))
    summary = WatchSummary(outcome, watch.frames, tuple(watch.alarms), message)
    write({"type": "end", "outcome": outcome, "frames": watch.frames, "alarms": watch.count, "message": message})
    return summary


def _run(watch: _Watch, video: VideoSource, options: WatchOptions, stop: Callable[[], bool]) -> tuple[Outcome, str]:
    try:
        with closing(_frames(video)) as frames:
            for frame in frames:
                raised = watch.look(frame)
                if raised and not options.keep_going:
                    return "alarm", "stopped at the alarm"
                if stop():
                    return "interrupted", f"interrupted after {watch.frames} frames"
                if watch.frames == options.max_frames:
                    return "ended", f"stopped after {watch.frames} frames, as asked"
    except VideoError as error:
        return "stream stopped", str(error)
    if video.num_frames is None:
        return "stream stopped", f"{video.name} stopped after {watch.frames} frames"
    return "ended", f"{video.name} ended after {watch.frames} frames"


def _frames(video: VideoSource) -> Generator[Frame]:
    yield from video


class _Watch:
    """The state of a monitor: a tracker, counts, and where the objects were."""

    def __init__(
        self,
        model: SAM2,
        prompts: Sequence[Prompt],
        limits: Sequence[WatchLimit],
        options: WatchOptions,
        write: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.frames = self.count = 0
        self.alarms: list[tuple[int, int, str]] = []
        self._prompts, self._options, self._write = prompts, options, write
        self._limits = {each.signal: each for each in limits}
        self._alarms = Alarms(limits, options.hold_frames)
        self._probe = Probe([WindowDistance()], self._seen, memory_dim=model.config.memory.dim)
        self._tracker = Tracker(model, options.policy, observers=[self._probe])
        self._ids = [prompt.object_id for prompt in prompts]
        self._places: dict[int, Place] = {}

    def _seen(self, _: int) -> dict[int, NDArray[np.bool_]]:
        """Names the objects to the probe, which needs no masks for distances."""
        return dict.fromkeys(self._ids, np.zeros((1, 1), np.bool_))

    def look(self, frame: Frame) -> bool:
        """One frame; whether an alarm was raised."""
        result = self._tracker.step(frame.rgb, self._prompts if self.frames == 0 else ())
        distances = {
            reading.object: reading.value
            for reading in self._probe.drain()
            if reading.metric == METRIC and reading.stage == DISTANCE_STAGE and reading.value is not None
        }
        raised = False
        for row, object_id in enumerate(result.object_ids):
            signals = self._signals(frame, result, row, object_id)
            distance = distances.get(object_id, distances.get(None))
            if distance is not None:
                signals["memory_distance"] = distance
            raised |= self._hold(frame, object_id, signals)
        self.frames += 1
        return raised

    def _signals(self, frame: Frame, result: FrameResult, row: int, object_id: int) -> dict[str, float]:
        mask = result.masks[row]
        signals = {
            "object_score_logit": float(result.object_score_logits[row]),
            "predicted_iou": float(result.predicted_iou[row]),
        }
        signals |= frame_measures(frame.rgb, mask, self._tracker.session.input_size)
        place = _place(mask)
        way = way_of(self._places.get(object_id), place)
        if way is not None:
            signals["motion.object"] = way
        self._places.pop(object_id, None)
        if place is not None:
            self._places[object_id] = place
        return signals

    def _hold(self, frame: Frame, object_id: int, signals: Mapping[str, float]) -> bool:
        outside, raised = self._alarms.look(object_id, signals)
        where = {"frame": frame.index, "time_s": round(frame.time_s, 3), "object": object_id}
        if self.frames % self._options.every == 0:
            shown = {name: round(value, 5) for name, value in signals.items()}
            self._write({"type": "frame", **where, "signals": shown, "outside": list(outside)})
        for name in raised:
            limit = self._limits[name]
            self.count += 1
            if len(self.alarms) < 100:  # of a stream of days
                self.alarms.append((frame.index, object_id, name))
            ends = {"low": limit.low, "high": limit.high}
            self._write({"type": "alarm", **where, "signal": name, "value": round(signals[name], 5), **ends})
        return bool(raised)


def _place(mask_hw: NDArray[np.bool_]) -> Place | None:
    """Middle (x, y) and area in px; None of an empty mask."""
    rows, columns = np.nonzero(mask_hw)
    return (float(columns.mean()), float(rows.mean()), float(len(rows))) if len(rows) else None
