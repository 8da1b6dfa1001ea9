"""Runs that end before their time, in every way: nothing is lost, nothing is destroyed, and the next call goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from track_cases import (
    HEIGHT,
    WIDTH,
    make_video,
    make_weights,
    mask_files,
    overlay_times,
    picture,
    records,
    run_file,
)

from maskscope.data.source import Frame, VideoSource
from maskscope.errors import OutputError, VideoError
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.studies.run import Progress
from maskscope.studies.track import TrackOptions, track_video
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import Session

FRAMES = 8
FORWARD = TrackOptions(precision="float32", image_size=(64, 96))
BOTH = TrackOptions(precision="float32", image_size=(64, 96), frame=3, direction="both")
PROMPTS = [Prompt(1, [(44.0, 44.0)])]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SAM2:
    path = make_weights(tmp_path_factory.mktemp("weights") / "untrained.safetensors")
    return load_model(path, image_size=(64, 96), device="cpu")


@pytest.fixture(scope="module")
def track(model: SAM2, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`track_video` on a short clip, but for the folder and the options."""
    video = make_video(tmp_path_factory.mktemp("video") / "disk.mp4", FRAMES)
    return partial(track_video, video, PROMPTS, model=model, save_every_s=1000)


def when(stage: str, done: int, error: BaseException) -> Callable[[Progress], None]:
    """A `progress` that raises."""

    def progress(now: Progress) -> None:
        if (now.stage, now.done) == (stage, done):
            raise error

    return progress


def asked(stop_at: int) -> Callable[[], bool]:
    """A `stop` that holds from the call with this number on."""
    calls = iter(range(1, 1000))
    return lambda: next(calls) >= stop_at


def lines(folder: Path) -> list[str]:
    return (folder / "masks.jsonl").read_text().splitlines()


class Broken(VideoSource):
    """A live stream that breaks off."""

    name, height, width, fps = "stream", HEIGHT, WIDTH, 10.0

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.numbers = numbers

    @property
    def num_frames(self) -> None:
        return None

    def __iter__(self) -> Iterator[Frame]:
        for number in self.numbers:
            yield Frame(number, number / 10, picture(number))
        raise VideoError("stream broke off", "check the connection")


class TestStreams:
    def test_a_recording_that_broke_off_is_whole_and_kept(self, model: SAM2, tmp_path: Path) -> None:
        record = partial(track_video, "rtsp://cam/x", PROMPTS, tmp_path, FORWARD, model=model)
        with pytest.raises(VideoError, match="broke off"):
            record(video=Broken((0, 1, 2, 3)))
        assert [line["frame"] for line in records(tmp_path)] == [0, 1, 2, 3]
        assert len(mask_files(tmp_path)) == len(overlay_times(tmp_path)) == 4
        said = run_file(tmp_path)
        assert (said["status"], said["frames"]) == ("broken", 4)
        assert "broke off" in said["reason"]
        before = lines(tmp_path)
        with pytest.raises(OutputError, match=r"no state to go on from; name another folder with --out.*--overwrite"):
            record(video=Broken((0,)))
        assert lines(tmp_path) == before
        with pytest.raises(VideoError, match="broke off"):
            record(video=Broken((0, 1)), overwrite=True)
        assert len(records(tmp_path)) == len(mask_files(tmp_path)) == 2

    def test_frames_that_it_left_out_keep_their_numbers(self, model: SAM2, tmp_path: Path) -> None:
        options = TrackOptions(precision="float32", image_size=(64, 96), frame=2, max_frames=8)
        video = Broken((0, 1, 3, 6, 9, 12))
        summary = track_video("rtsp://cam/x", PROMPTS, tmp_path, options, model=model, video=video)
        assert summary.finished
        assert [line["frame"] for line in records(tmp_path)] == [3, 6, 9], "the prompt holds for the first that came"
        assert overlay_times(tmp_path) == pytest.approx([0.0, 0.3, 0.6], abs=1e-4)


@pytest.fixture(scope="module")
def whole(track: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The lines of runs that nothing ended."""
    folder = tmp_path_factory.mktemp("whole")
    assert track(folder / "forward", FORWARD).finished
    assert track(folder / "both", BOTH).finished
    assert [line["frame"] for line in records(folder / "both")] == list(range(FRAMES))
    return {name: lines(folder / name) for name in ("forward", "both")}


class TestFiles:
    def test_killed_before_the_first_save_was_due_it_goes_on(
        self, track: Callable[..., Any], whole: dict[str, list[str]], tmp_path: Path
    ) -> None:
        with pytest.raises(KeyboardInterrupt):  # nothing tidies up after this one
            track(tmp_path, FORWARD, progress=when("tracking", 5, KeyboardInterrupt()))
        assert run_file(tmp_path)["status"] == "running"
        summary = track(tmp_path, FORWARD)
        assert summary.finished
        assert run_file(tmp_path)["runs"][-1]["frames"] == FRAMES - 1, "the state of the first frame was there"
        assert lines(tmp_path) == whole["forward"]
        assert len(overlay_times(tmp_path)) == FRAMES

    def test_after_an_error_it_goes_on_where_it_was(
        self, track: Callable[..., Any], whole: dict[str, list[str]], tmp_path: Path
    ) -> None:
        with pytest.raises(RuntimeError, match="out of memory"):
            track(tmp_path, FORWARD, progress=when("tracking", 5, RuntimeError("out of memory")))
        said = run_file(tmp_path)
        assert (said["status"], said["reason"], said["frames"]) == ("failed", "RuntimeError: out of memory", 5)
        assert track(tmp_path, FORWARD).finished
        assert run_file(tmp_path)["runs"][-1]["frames"] == FRAMES - 5
        assert "reason" not in run_file(tmp_path)
        assert lines(tmp_path) == whole["forward"]

    def test_an_error_within_a_frame_saves_nothing_half(
        self, track: Callable[..., Any], whole: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        advance, calls = Session.advance, iter(range(100))

        def failing(self: Session, *arguments: Any, **named: Any) -> FrameResult:
            result = advance(self, *arguments, **named)
            if next(calls) == 4:
                raise RuntimeError("in the middle of a frame")
            return result

        monkeypatch.setattr(Session, "advance", failing)
        with pytest.raises(RuntimeError, match="in the middle"):
            track(tmp_path, FORWARD)
        monkeypatch.undo()
        assert run_file(tmp_path)["status"] == "failed"
        assert track(tmp_path, FORWARD).finished
        assert run_file(tmp_path)["runs"][-1]["frames"] == FRAMES - 1, "it went on from the last whole state"
        assert lines(tmp_path) == whole["forward"]

    @pytest.mark.parametrize("how", ["stopped", "killed", "failed"])
    def test_ended_while_drawing_it_draws_again(
        self, track: Callable[..., Any], whole: dict[str, list[str]], tmp_path: Path, how: str
    ) -> None:
        if how == "stopped":
            summary = track(tmp_path, BOTH, stop=asked(FRAMES + 2))
            assert (summary.finished, summary.resumable, summary.next_frame) == (False, True, None)
        else:
            error = KeyboardInterrupt() if how == "killed" else RuntimeError("no")
            with pytest.raises(type(error)):
                track(tmp_path, BOTH, progress=when("drawing", 3, error))
        assert run_file(tmp_path)["status"] == {"killed": "running"}.get(how, how)
        assert sorted(lines(tmp_path)) == sorted(whole["both"]), "every line is whole"
        assert [line["frame"] for line in records(tmp_path)] == [3, 4, 5, 6, 7, 2, 1, 0], "as the session knows them"
        assert track(tmp_path, BOTH).finished
        assert lines(tmp_path) == whole["both"]
        assert len(overlay_times(tmp_path)) == FRAMES
        assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "masks.jsonl", "overlay.mp4", "run.json"]

    def test_overwrite_starts_over(
        self, track: Callable[..., Any], whole: dict[str, list[str]], tmp_path: Path
    ) -> None:
        assert track(tmp_path, FORWARD, stop=asked(3)).num_frames == 3
        assert track(tmp_path, FORWARD, overwrite=True).finished
        assert [entry["frames"] for entry in run_file(tmp_path)["runs"]] == [FRAMES]
        assert lines(tmp_path) == whole["forward"]

    @pytest.mark.parametrize("damage", ["cut off", "no JSON", "without its note", "without a tensor"])
    def test_a_damaged_session_is_no_dead_end(self, track: Callable[..., Any], tmp_path: Path, damage: str) -> None:
        track(tmp_path, FORWARD, stop=asked(3))
        session = tmp_path / "session.safetensors"
        if damage == "cut off":
            session.write_bytes(session.read_bytes()[:500])
        else:
            with safe_open(session, framework="pt") as file:
                metadata = file.metadata()
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads(metadata["state"])
            if damage == "without its note":
                del state["note"]
            if damage == "without a tensor":
                tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("pointer_c")}
            metadata["state"] = "{" if damage == "no JSON" else json.dumps(state)
            save_file(tensors, session, metadata)
        before = lines(tmp_path)
        with pytest.raises(OutputError, match=r"cannot be gone on with: .*; add --overwrite to start over"):
            track(tmp_path, FORWARD)
        assert lines(tmp_path) == before
        assert track(tmp_path, FORWARD, overwrite=True).finished

    def test_two_at_once_are_refused(
        self, track: Callable[..., Any], whole: dict[str, list[str]], tmp_path: Path
    ) -> None:
        refused = []

        def second(now: Progress) -> None:
            if now.done == 4:
                with pytest.raises(OutputError, match=r"is being written by another run \(process \d+\)") as caught:
                    track(tmp_path, FORWARD)
                refused.append(caught.value)

        assert track(tmp_path, FORWARD, progress=second).finished
        assert len(refused) == 1
        assert lines(tmp_path) == whole["forward"]

    def test_other_weights_do_not_go_on(self, track: Callable[..., Any], model: SAM2, tmp_path: Path) -> None:
        track(tmp_path, FORWARD, stop=asked(3))
        bias = model.get_parameter("mask_decoder.pred_obj_score_head.layers.2.bias")
        before = bias.data.clone()
        bias.data += 1e-3
        try:
            with pytest.raises(OutputError, match=r"begun with other weights .*--overwrite to start over"):
                track(tmp_path, FORWARD)
        finally:
            bias.data.copy_(before)

    def test_another_version_does_not_go_on(
        self, track: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        track(tmp_path, FORWARD, stop=asked(3))
        monkeypatch.setattr("maskscope.studies.track.__version__", "99.0")
        with pytest.raises(OutputError, match=r"other maskscope version.*--overwrite"):
            track(tmp_path, FORWARD)


def test_without_mask_pictures_the_lines_are_the_same(track: Callable[..., Any], tmp_path: Path) -> None:
    assert track(tmp_path / "with", FORWARD).finished
    bare = TrackOptions(precision="float32", image_size=(64, 96), masks=False, overlay=False)
    assert track(tmp_path / "without", bare).finished
    assert sorted(path.name for path in (tmp_path / "without").iterdir()) == ["masks.jsonl", "run.json"]
    assert lines(tmp_path / "without") == lines(tmp_path / "with")


class Long(Broken):
    """A file that says it has a million frames."""

    @property
    def num_frames(self) -> int:  # type: ignore[override]
        return 1_000_000

    def frames(self, start: int = 0, stop: int | None = None, reverse: bool = False) -> Iterator[Frame]:
        return (Frame(number, number / 10, picture(number)) for number in self.numbers if number >= start)


def test_names_of_a_long_video_sort_as_their_numbers(model: SAM2, tmp_path: Path) -> None:
    video = Long((7, 8))
    options = TrackOptions(precision="float32", image_size=(64, 96), frame=7, max_frames=2, overlay=False)
    assert track_video("long", PROMPTS, tmp_path, options, model=model, video=video).finished
    assert list(mask_files(tmp_path)) == ["000007.png", "000008.png"]
