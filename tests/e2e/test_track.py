"""`maskscope track` from prompt to files: right masks, every output, both directions, and on after an interrupt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from track_cases import (
    POINT,
    SIZE,
    make_video,
    make_weights,
    mask_files,
    nearly_same_masks,
    nearly_same_scores,
    overlay_times,
    picture,
    records,
    run_file,
    truth,
    write_images,
)
from typer.testing import CliRunner

from maskscope import __version__
from maskscope.assets import demo_clip
from maskscope.cli.main import app
from maskscope.data.rle import read_rle
from maskscope.data.video import open_video
from maskscope.evaluate.boundary import boundary_f
from maskscope.evaluate.region import region_similarity
from maskscope.model.checkpoints import load_model
from maskscope.palette import davis_palette
from maskscope.studies.track import TrackOptions, track_video
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.video_tracker import VideoTracker

FRAMES = 60
EXACT = ("--precision", "float32", *SIZE)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "disk.mp4", FRAMES)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "untrained.safetensors")


def command(video: Path | str, weights: Path, out: Path, *more: str) -> list[str]:
    return ["track", str(video), *POINT, "--model", str(weights), *EXACT, "--out", str(out), *more]


def run(arguments: Sequence[str]) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def whole(video: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "out"
    result = run(command(video, weights, out))
    assert result.exit_code == 0, result.output
    assert f"{FRAMES} frames" in result.output
    return out


def offline_masks(
    video: Path, weights: Path, frame: int, prompts: Sequence[Prompt], both: bool
) -> dict[int, np.ndarray]:
    """The same by the tracker itself, all frames in memory."""
    frames = [frame.rgb for frame in open_video(video)]
    tracker = VideoTracker(load_model(weights, image_size=(64, 96)), frames)
    tracker.prompt(frame, prompts)
    masks = {result.frame_index: result.masks for result in tracker.propagate()}
    if both:
        masks |= {result.frame_index: result.masks for result in tracker.propagate(reverse=True)}
    return masks


def same_masks(one: Path, other: Path) -> bool:
    ours, theirs = mask_files(one), mask_files(other)
    return list(ours) == list(theirs) and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def same_scores(one: Path, other: Path) -> bool:
    keys = ("frame", "time_s", "object", "counts", "object_score", "predicted_iou")
    return [[line[k] for k in keys] for line in records(one)] == [[line[k] for k in keys] for line in records(other)]


class TestOutputs:
    def test_masks_are_those_of_the_tracker(self, whole: Path, video: Path, weights: Path) -> None:
        expected = offline_masks(video, weights, 0, [Prompt(1, [(40.0, 44.0)])], both=False)
        found = mask_files(whole)
        assert list(found) == [f"{i:05d}.png" for i in range(FRAMES)]
        for i, picture_of_mask in enumerate(found.values()):
            np.testing.assert_array_equal(picture_of_mask == 1, expected[i][0])
        areas = [int((m == 1).sum()) for m in found.values()]
        assert min(areas) > 20
        assert len(set(areas)) > 5, "masks that never change would show nothing"

    def test_pictures_are_indexed_in_davis_colours(self, whole: Path) -> None:
        with Image.open(whole / "masks" / "00003.png") as image:
            assert image.mode == "P"
            assert image.getpalette()[:9] == davis_palette()[:3].flatten().tolist()

    def test_lines_hold_the_same_masks_with_scores(self, whole: Path) -> None:
        lines = list(read_rle(whole / "masks.jsonl"))
        assert [line.frame for line in lines] == list(range(FRAMES))
        assert [line.time_s for line in lines] == pytest.approx([i / 10 for i in range(FRAMES)])
        for line, pixels in zip(lines, mask_files(whole).values(), strict=True):
            np.testing.assert_array_equal(line.mask(), pixels == 1)
            assert line.object_score is not None
            assert 0.5 < line.object_score <= 1
            assert 0 <= (line.predicted_iou or -1) <= 1

    def test_overlay_keeps_the_time(self, whole: Path) -> None:
        assert overlay_times(whole) == pytest.approx([i / 10 for i in range(FRAMES)], abs=1e-4)

    def test_run_file_says_what_was_done(self, whole: Path, weights: Path) -> None:
        said = run_file(whole)
        assert said["status"] == "finished"
        assert said["frames"] == FRAMES
        assert said["request"]["model"]["path"] == str(weights)
        assert said["request"]["prompts"] == [{"object": 1, "points_xy_px": [[40.0, 44.0]], "labels": [1]}]
        assert said["resolved"]["family"] == "compact"
        assert said["resolved"]["input_size"] == [64, 96]
        assert said["resolved"]["precision"] == "float32"
        assert said["versions"]["maskscope"] == __version__
        assert said["runs"][0]["frames"] == FRAMES
        assert said["runs"][0]["frames_per_s"] > 0
        assert sorted(p.name for p in whole.iterdir()) == ["masks", "masks.jsonl", "overlay.mp4", "run.json"]

    def test_objects_of_a_mask_in_a_folder_of_images(self, weights: Path, tmp_path: Path) -> None:
        images = write_images(tmp_path / "images", 4)
        labels = (truth(0) > 0).astype(np.uint8)
        labels[70:90, 90:120] = 7
        Image.fromarray(labels).save(tmp_path / "mask.png")
        out = tmp_path / "out"
        more = ("--mask", str(tmp_path / "mask.png"), "--model", str(weights), "--out", str(out), "--no-overlay")
        result = run(["track", str(images), *more, *EXACT])
        assert result.exit_code == 0, result.output
        first = mask_files(out)["00000.png"]
        assert set(np.unique(first)) == {0, 1, 7}
        for number in (1, 7):  # a given mask comes back, through a quarter of 64 x 96
            agreement = ((first == number) & (labels == number)).sum() / ((first == number) | (labels == number)).sum()
            assert agreement > 0.75
        assert [line["object"] for line in records(out)] == [1, 7] * 4
        assert not (out / "overlay.mp4").exists()

    def test_both_directions(self, video: Path, weights: Path, tmp_path: Path) -> None:
        box = Prompt(1, box_xyxy_px=(45.0, 26.0, 85.0, 62.0))
        arguments = ["track", str(video), "--box", "45,26,85,62", "--frame", "12", "--both", "--model", str(weights)]
        result = run([*arguments, *EXACT, "--out", str(tmp_path / "out")])
        assert result.exit_code == 0, result.output
        expected = offline_masks(video, weights, 12, [box], both=True)
        found = mask_files(tmp_path / "out")
        assert len(found) == FRAMES
        for i in range(FRAMES):
            np.testing.assert_array_equal(found[f"{i:05d}.png"] == 1, expected[i][0], err_msg=f"frame {i}")
        assert [line["frame"] for line in records(tmp_path / "out")] == list(range(FRAMES))
        assert overlay_times(tmp_path / "out") == pytest.approx([i / 10 for i in range(FRAMES)], abs=1e-4)

    def test_backward_and_a_limit(self, video: Path, weights: Path, tmp_path: Path) -> None:
        arguments = command(video, weights, tmp_path / "out", "--frame", "9", "--backward", "--max-frames", "4")
        result = run(arguments)
        assert result.exit_code == 0, result.output
        assert list(mask_files(tmp_path / "out")) == ["00006.png", "00007.png", "00008.png", "00009.png"]
        assert len(overlay_times(tmp_path / "out")) == 4

    def test_overlapping_objects_share_no_pixel_when_asked(self, video: Path, weights: Path, tmp_path: Path) -> None:
        two = ("--point", "44,44,1,2", "--max-frames", "3", "--no-overlay")
        for flag, name in ((), "loose"), (("--non-overlapping",), "strict"):
            assert run(command(video, weights, tmp_path / name, *two, *flag)).exit_code == 0
        shared = {}
        for name in ("loose", "strict"):
            lines = list(read_rle(tmp_path / name / "masks.jsonl"))
            shared[name] = sum(int((a.mask() & b.mask()).sum()) for a, b in zip(lines[::2], lines[1::2], strict=True))
        assert shared["loose"] > 0
        assert shared["strict"] == 0

    def test_live_stream(self, video: Path, weights: Path, served: str, tmp_path: Path) -> None:
        out = tmp_path / "out"
        address = f"{served}/{video.name}?token=SECRET"
        result = run(command(address, weights, out, "--frame", "5", "--max-frames", "6"))
        assert result.exit_code == 0, result.output
        assert "SECRET" not in (out / "run.json").read_text() + result.output
        assert "?token=***" in run_file(out)["request"]["input"]
        assert list(mask_files(out)) == [f"{i:05d}.png" for i in range(5, 11)]
        assert len(overlay_times(out)) == 6
        refused = run(command(f"{served}/{video.name}", weights, tmp_path / "x", "--both"))
        assert refused.exit_code == 2
        assert "live stream" in refused.output


@pytest.fixture
def served(video: Path) -> Iterator[str]:
    """The video's folder over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(video.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def interrupt(arguments: Sequence[str], out: Path, frames: int, number: signal.Signals) -> subprocess.Popen[str]:
    """Run in a process of its own and send a signal once so many masks are there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "maskscope.cli.main", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )
    deadline = time.monotonic() + 60
    while len(list((out / "masks").glob("[0-9]*.png"))) < frames:
        assert process.poll() is None, f"ended too early: {process.stderr and process.stderr.read()}"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    process.wait(60)
    return process


def check_readable(out: Path, at_least: int) -> int:
    """Everything an interrupted run has left can be read; returns the number of whole masks."""
    masks = mask_files(out)
    assert len(masks) >= at_least
    lines = list(read_rle(out / "masks.jsonl"))
    assert len(lines) >= at_least - 8, "writers are at most a few frames apart"
    assert len(list(open_video(out / "overlay.mp4"))) >= at_least - 8
    assert run_file(out)["status"] != "finished"
    return len(masks)


class TestInterrupts:
    def test_ctrl_c_saves_and_the_same_command_goes_on(
        self, video: Path, weights: Path, whole: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        process = interrupt(command(video, weights, out), out, 8, signal.SIGINT)
        said = process.stderr.read() if process.stderr else ""
        assert process.returncode == 130, said
        done = check_readable(out, 8)
        assert done < FRAMES, "the run was over before it was interrupted"
        assert said.splitlines()[-1] == f"stopped at frame {done}; run the same command to go on"
        assert len(records(out)) == len(overlay_times(out)) == done
        assert run_file(out)["status"] == "stopped"

        result = run(command(video, weights, out))
        assert result.exit_code == 0, result.output
        assert nearly_same_masks(out, whole)
        assert nearly_same_scores(out, whole)
        assert overlay_times(out) == pytest.approx(overlay_times(whole), abs=1e-4)
        assert [entry["frames"] for entry in run_file(out)["runs"]] == [done, FRAMES - done]
        assert sorted(p.name for p in out.iterdir()) == ["masks", "masks.jsonl", "overlay.mp4", "run.json"]

    def test_even_killed_it_goes_on(self, video: Path, weights: Path, whole: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        arguments = command(video, weights, out, "--save-every", "0.05")
        process = interrupt(arguments, out, 10, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        done = check_readable(out, 10)
        assert done < FRAMES
        assert (out / "session.safetensors").exists()

        result = run(arguments)
        assert result.exit_code == 0, result.output
        assert nearly_same_masks(out, whole)
        assert nearly_same_scores(out, whole)
        assert overlay_times(out) == pytest.approx(overlay_times(whole), abs=1e-4)
        assert run_file(out)["runs"][-1]["frames"] < FRAMES, "it started over"

    @pytest.mark.parametrize("stops", [(3, 9), (8, 17)], ids=["early", "around the turn"])
    def test_stopped_twice_in_both_directions(
        self, video: Path, weights: Path, tmp_path: Path, stops: tuple[int, int]
    ) -> None:
        options = TrackOptions(str(weights), precision="float32", image_size=(64, 96), frame=8, direction="both")
        short = make_video(tmp_path / "short.mp4", 18)
        track = partial(track_video, short, [Prompt(4, [(56.0, 44.0)])], options=options)
        assert track(tmp_path / "whole").finished
        for stop in stops:
            summary = track(tmp_path / "parts", stop=reached(tmp_path / "parts", stop))
            assert not summary.finished
            assert summary.num_frames == stop
        assert track(tmp_path / "parts").finished
        assert same_masks(tmp_path / "parts", tmp_path / "whole")
        assert same_scores(tmp_path / "parts", tmp_path / "whole")
        assert len(overlay_times(tmp_path / "parts")) == 18

    def test_memory_of_a_resumed_run_is_what_it_was(self, video: Path, weights: Path, tmp_path: Path) -> None:
        """Two stops in a row without a frame between lose nothing either."""
        options = TrackOptions(str(weights), precision="float32", image_size=(64, 96), max_frames=6)
        track = partial(track_video, video, [Prompt(1, [(40.0, 44.0)])], options=options)
        for expected in (1, 2, 3, 4, 5):
            assert track(tmp_path / "parts", stop=lambda: True).num_frames == expected
        assert track(tmp_path / "parts", stop=lambda: True).finished, "nothing is left to stop"
        assert track(tmp_path / "whole").finished
        assert same_masks(tmp_path / "parts", tmp_path / "whole")
        assert same_scores(tmp_path / "parts", tmp_path / "whole")
        assert len(overlay_times(tmp_path / "parts")) == 6


def reached(folder: Path, frames: int) -> Callable[[], bool]:
    """A `stop` that holds once the folder has so many masks; writers lag, so it counts calls from what was there."""
    there = len(list((folder / "masks").glob("*.png")))
    calls = iter(range(there + 1, 10_000))
    return lambda: next(calls) >= frames


class TestFolder:
    def test_finished_results_are_not_touched(self, video: Path, weights: Path, whole: Path) -> None:
        before = (whole / "masks.jsonl").stat().st_mtime_ns
        result = run(command(video, weights, whole))
        assert result.exit_code == 2
        assert "--overwrite" in result.output
        assert (whole / "masks.jsonl").stat().st_mtime_ns == before

    def test_overwrite_replaces_them_whole(self, video: Path, weights: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        assert run(command(video, weights, out, "--max-frames", "5")).exit_code == 0
        (out / "notes.txt").write_text("mine")
        assert run(command(video, weights, out, "--max-frames", "2")).exit_code == 2
        assert run(command(video, weights, out, "--max-frames", "2", "--overwrite")).exit_code == 0
        assert len(mask_files(out)) == len(records(out)) == len(overlay_times(out)) == 2
        assert (out / "notes.txt").read_text() == "mine"

    def test_default_folder_is_named_after_the_input(
        self, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Image.fromarray(picture(0)).save("one frame.png")
        result = run(["track", "one frame.png", *POINT, "--model", str(weights), *SIZE])
        assert result.exit_code == 0, result.output
        assert list(mask_files(tmp_path / "one-frame-tracked")) == ["00000.png"]


class TestDemo:
    def test_scores_are_those_of_its_masks(self, weights: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        result = run(
            ["demo", "--model", str(weights), *SIZE, "--out", str(out), "--no-diagnosis", "--policy", "distractor"]
        )
        assert result.exit_code == 0, result.output
        assert json.loads((out / "run.json").read_text())["request"]["policy"] == "distractor"
        clip, found = demo_clip(), mask_files(out)
        assert len(found) == len(clip.masks) == len(overlay_times(out))
        table = {words[0]: words[1:] for words in map(str.split, result.output.splitlines()) if words}
        assert table["object"] == ["J", "F", "J&F"]
        for number in np.unique(clip.masks[0])[1:]:
            pairs = list(zip(found.values(), clip.masks, strict=True))[1:-1]
            j = np.mean([region_similarity(mine == number, true == number) for mine, true in pairs])
            f = np.mean([boundary_f(mine == number, true == number) for mine, true in pairs])
            assert [float(word) for word in table[str(number)]] == pytest.approx([j, f, (j + f) / 2], abs=0.0006)
        assert "a second with decoding and writing" in result.output
        with Image.open(out / "contact-sheet.png") as sheet:
            assert sheet.width == 1200
            assert np.asarray(sheet).std() > 20


class TestOtherVerbs:
    def test_version(self) -> None:
        assert run(["--version"]).output == f"maskscope {__version__}\n"

    @pytest.mark.parametrize("verb", ["track", "models", "demo"])
    def test_help(self, verb: str) -> None:
        assert verb in run(["--help"]).output
        assert run([verb, "--help"]).exit_code == 0

    def test_models(self) -> None:
        lines = run(["models"]).output.splitlines()
        assert lines[0].split() == ["name", "family", "parameters", "weights"]
        names = [line.split()[0] for line in lines[1:10]]
        assert names[0] == "compact"
        assert {"sam2.1-hiera-tiny", "sam2-hiera-large"} <= set(names)
        assert len(names) == 9
        tiny = next(line for line in lines if line.startswith("sam2.1-hiera-tiny"))
        assert "39.0 M" in tiny or "38.9 M" in tiny
