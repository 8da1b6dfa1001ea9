"""Watching a stream: limits, alarms that have to hold, streams that stop, and memory that does not grow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from made_up_readiness import made_up_readiness
from maskscope.cli.watch import ALARM_EXIT, STOPPED_EXIT
from maskscope.data.source import Frame, VideoSource
from maskscope.errors import SettingError, VideoError
from maskscope.readiness.parts import WatchLimit
from maskscope.studies.watch import WatchOptions, watch_stream
from maskscope.studies.watch_limits import Alarms, joined, parse_limit, read_limits
from maskscope.tracking.prompts import Prompt
from scripted_model import SIZE, ScriptedModel, Shown, frame, scene

POINT = Prompt(object_id=1, points_xy_px=[(24.0, 24.0)])


class Numbered(VideoSource):
    """Pictures by number; live unless it knows its length."""

    name, height, width, fps = "camera:0", SIZE, SIZE, 25.0

    def __init__(self, length: int, live: bool = False, breaks: bool = False) -> None:
        self._length, self._live, self._breaks = length, live, breaks

    @property
    def num_frames(self) -> int | None:
        return None if self._live else self._length

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._length):
            yield Frame(index, index / 25, frame(index))
        if self._breaks:
            raise VideoError("camera:0 broke off", "check the connection")


def model(fades_at: int = 10_000) -> Any:
    """The object is seen until it fades."""
    return ScriptedModel(
        lambda n: Shown(score=5.0 if n < fades_at else -3.0, scene=scene(0, flicker=n % 7))
    )  # few colours: the stand-in caches them


SCORE = WatchLimit(signal="object_score_logit", low=0.0, high=None, source="given")


def test_an_alarm_is_raised_when_it_has_held() -> None:
    lines: list[Mapping[str, Any]] = []
    options = WatchOptions(hold_frames=5)
    summary = watch_stream(Numbered(60), [POINT], [SCORE], options, model=model(20), write=lines.append)
    assert summary.outcome == "alarm"
    assert summary.alarms == ((24, 1, "object_score_logit"),)
    assert summary.frames == 25
    frames = [line for line in lines if line["type"] == "frame"]
    assert [line["frame"] for line in frames if line["outside"]] == list(range(20, 25))
    assert [line["type"] for line in lines[-2:]] == ["alarm", "end"]
    signals = frames[-8]["signals"]
    assert {"object_score_logit", "predicted_iou", "memory_distance", "luma.background"} <= set(signals)
    json.dumps(lines)


def test_it_goes_on_if_asked_and_says_so_at_the_end() -> None:
    options = WatchOptions(hold_frames=5, keep_going=True, every=10)
    lines: list[Mapping[str, Any]] = []
    summary = watch_stream(Numbered(40), [POINT], [SCORE], options, model=model(20), write=lines.append)
    assert (summary.outcome, summary.frames, len(summary.alarms)) == ("alarm", 40, 1)
    assert [line["frame"] for line in lines if line["type"] == "frame"] == [0, 10, 20, 30]


@pytest.mark.parametrize(
    ("video", "outcome", "says"),
    [
        (Numbered(12), "ended", "ended after 12 frames"),
        (Numbered(12, live=True), "stream stopped", "camera:0 stopped after 12 frames"),
        (Numbered(12, live=True, breaks=True), "stream stopped", "broke off; check the connection"),
    ],
)
def test_how_a_stream_ends(video: VideoSource, outcome: str, says: str) -> None:
    summary = watch_stream(video, [POINT], [SCORE], model=model())
    assert summary.outcome == outcome
    assert says in summary.message
    assert "\n" not in summary.message


def test_it_stops_when_asked() -> None:
    assert watch_stream(Numbered(9), [POINT], [SCORE], model=model(), stop=lambda: True).outcome == "interrupted"
    limited = watch_stream(Numbered(9), [POINT], [SCORE], WatchOptions(max_frames=4), model=model())
    assert (limited.outcome, limited.frames) == ("ended", 4)


def test_counts_start_anew_inside_and_stay_without_a_value() -> None:
    alarms = Alarms([WatchLimit(signal="blur.object", low=0.1, high=0.5, source="given")], 3)
    values = [0.6, 0.05, 0.3, 0.6, None, 0.7, 0.8, 0.9]
    said = [alarms.look(1, {} if value is None else {"blur.object": value}) for value in values]
    assert [bool(outside) for outside, _ in said] == [True, True, False, True, False, True, True, True]
    assert [index for index, (_, raised) in enumerate(said) if raised] == [6]


def test_limits_come_from_a_readiness_run_and_are_overruled(tmp_path: Path) -> None:
    made_up_readiness().write(tmp_path / "readiness.json")
    found = read_limits(tmp_path / "readiness.json")
    assert [each.signal for each in found] == ["object_score_logit", "blur.object", "luma.object"]
    given = parse_limit("blur.object=:0.4")
    both = joined(found, [given])
    assert len(both) == 3
    assert given in both


@pytest.mark.parametrize(
    "text", ["sharpness=1:2", "blur.object", "blur.object=:", "blur.object=2:1", "blur.object=a:b"]
)
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(SettingError):
        parse_limit(text)
    with pytest.raises(SettingError, match="no limit to watch"):
        joined((), ())


def test_exit_codes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from maskscope.cli import watch as cli

    def run(video: VideoSource, fades_at: int) -> int:
        monkeypatch.setattr("maskscope.data.video.open_video", lambda _: video)
        monkeypatch.setattr("maskscope.studies.watch.load_model", lambda *_, **__: Loaded(model(fades_at)))
        try:
            options = WatchOptions(hold_frames=3)
            log = tmp_path / "watch.jsonl"
            cli.watch("camera:0", options, points=["24,24"], limits=["object_score_logit=0:"], log=log)
        except typer.Exit as end:
            return end.exit_code
        return 0

    assert run(Numbered(8), 99) == 0
    assert run(Numbered(8, live=True), 99) == STOPPED_EXIT
    assert run(Numbered(8), 2) == ALARM_EXIT
    lines = [json.loads(line) for line in (tmp_path / "watch.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["outcome"] for line in lines if line["type"] == "end"] == ["ended", "stream stopped", "alarm"]


class Loaded:
    """A loaded model, whose precision is taken as it comes."""

    def __init__(self, scripted: ScriptedModel) -> None:
        self._scripted = scripted
        self.device = scripted.device

    def set_precision(self, _: object) -> ScriptedModel:
        return self._scripted


def test_memory_is_flat() -> None:
    """Objects alive after 300 frames are hardly more than after 100."""
    import gc

    counts: dict[int, int] = {}

    def count(line: Mapping[str, Any]) -> None:
        if line.get("frame") in (100, 300):
            gc.collect()
            counts[line["frame"]] = len(gc.get_objects())

    watch_stream(Numbered(310), [POINT], [SCORE], model=model(), write=count)
    assert counts[300] - counts[100] < 200
    assert np.isfinite(counts[300])
