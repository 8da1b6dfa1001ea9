"""A user's mistake is one line that says what to do, and exit code 2; nothing is left behind, nothing is destroyed."""

from __future__ import annotations

import errno
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from track_cases import (
    HEIGHT,
    POINT,
    SIZE,
    WIDTH,
    make_video,
    make_weights,
    mask_files,
    overlay_times,
    picture,
    records,
    run_file,
    truth,
    write_images,
)
from typer.testing import CliRunner

from maskscope.cli.main import app
from maskscope.data.rle import read_rle
from maskscope.data.video import open_video

FRAMES = 12


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "disk.mp4", FRAMES)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "untrained.safetensors")


@pytest.fixture
def refused(weights: Path, tmp_path: Path) -> Callable[..., str]:
    """Run the command, expect it to refuse before writing anything, and return its one line."""

    def call(*arguments: str | Path, model: str | Path = weights) -> str:
        out = tmp_path / "refused"
        words = ["track", *SIZE, *map(str, arguments), "--model", str(model), "--out", str(out)]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2, f"{result.exit_code}: {result.output} {result.exception!r}"
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("error: ")
        assert result.stdout == ""
        assert not out.exists()
        return lines[0]

    return call


class TestInput:
    def test_no_such_file(self, refused: Callable[..., str], tmp_path: Path) -> None:
        assert "no such file: " in refused(tmp_path / "dgo.mp4", *POINT)

    def test_empty_file(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "empty.mp4").touch()
        assert "is empty (0 bytes)" in refused(tmp_path / "empty.mp4", *POINT)

    def test_truncated_file(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        (tmp_path / "half.mp4").write_bytes(video.read_bytes()[: video.stat().st_size // 2])
        assert "cut off" in refused(tmp_path / "half.mp4", *POINT)

    def test_text_file(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "notes.mp4").write_text("This is no video.\n" * 100)
        assert "is not a video" in refused(tmp_path / "notes.mp4", *POINT)

    def test_folder_without_images(self, refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "notes.txt").write_text("no image")
        assert "no images in folder" in refused(tmp_path / "folder", *POINT)

    def test_images_of_differing_size(self, refused: Callable[..., str], tmp_path: Path) -> None:
        folder = write_images(tmp_path / "images", 3, sizes=[(WIDTH, HEIGHT), (64, 48)])
        line = refused(folder, *POINT)
        assert "001.png is 64x48 pixels but 000.png is 128x96" in line

    def test_no_such_camera(self, refused: Callable[..., str]) -> None:
        assert "no camera 97" in refused("camera:97", *POINT)

    def test_nobody_answers(self, refused: Callable[..., str]) -> None:
        assert "cannot open http://127.0.0.1:9/x" in refused("http://127.0.0.1:9/x", *POINT)

    @pytest.mark.parametrize("frame", ["12", "-1", "100000"])
    def test_frame_outside(self, refused: Callable[..., str], video: Path, frame: str) -> None:
        line = refused(video, *POINT, "--frame", frame)
        assert f"no frame {frame}: it has 12 frames" in line
        assert "0 to 11" in line

    def test_no_frames_wanted(self, refused: Callable[..., str], video: Path) -> None:
        assert "at most 0 frames" in refused(video, *POINT, "--max-frames", "0")

    def test_the_input_is_never_written_over(self, weights: Path, tmp_path: Path) -> None:
        victim = make_video(tmp_path / "overlay.mp4", 3)
        before = victim.read_bytes()
        words = ["track", str(victim), *POINT, "--model", str(weights), "--out", str(tmp_path), "--overwrite"]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert "written over the input" in result.stderr
        assert victim.read_bytes() == before


class TestPrompts:
    @pytest.mark.parametrize(
        ("prompt", "says"),
        [
            ((), "give --point X,Y or --box X0,Y0,X1,Y1 or --mask FILE"),
            (("--point", "128,10"), "outside the frame of 128 x 96; x is 0 to 127, y is 0 to 95"),
            (("--point", "10,96"), "outside the frame"),
            (("--point", "-1,10"), "outside the frame"),
            (("--point", "nan,10"), "is not X,Y[,LABEL[,OBJECT]]"),
            (("--point", "10"), "is not X,Y[,LABEL[,OBJECT]]"),
            (("--point", "ten,20"), "is not X,Y[,LABEL[,OBJECT]]"),
            (("--point", "10,20,2"), "has label 2, expected 1 (on the object) or 0 (not on it)"),
            (("--point", "10,20,0"), "only negative points"),
            (("--point", "10,20,1,0"), "object number 0"),
            (("--point", "10,20,1,256"), "object number 256"),
            (("--point", "10,20,1,1.5"), "object number 1.5"),
            (("--box", "10,10,129,50"), "reaches outside the frame of 128 x 96"),
            (("--box", "-3,10,100,50"), "reaches outside the frame"),
            (("--box", "60,10,20,50"), "inside out"),
            (("--box", "20,50,60,50"), "inside out"),
            (("--box", "20,50,60"), "is not X0,Y0,X1,Y1[,OBJECT]"),
            (("--box", "1,1,9,9", "--box", "20,20,30,30"), "object 1 has two boxes"),
            (("--point", "10,20", "--backward", "--both"), "contradict"),
            (("--point", "10,20", "--policy", "elephant"), "no memory policy is called 'elephant'"),
            (("--point", "10,20", "--image-size", "large"), "is not HEIGHTxWIDTH"),
            (("--point", "10,20", "--image-size", "100x100"), "multiples of 32"),
            (("--point", "10,20", "--device", "toaster"), "'toaster' is not available"),
        ],
    )
    def test_prompt(self, refused: Callable[..., str], video: Path, prompt: tuple[str, ...], says: str) -> None:
        assert says in refused(video, *prompt)


class TestMasks:
    def save(self, pixels: np.ndarray, path: Path) -> Path:
        Image.fromarray(pixels).save(path)
        return path

    def test_another_size_is_resized_only_when_asked(
        self, refused: Callable[..., str], video: Path, weights: Path, tmp_path: Path
    ) -> None:
        double = np.kron(truth(0), np.ones((2, 2), np.uint8))
        mask = self.save(double, tmp_path / "double.png")
        line = refused(video, "--mask", mask)
        assert "is 256 x 192, the video is 128 x 96" in line
        assert "--resize-mask" in line
        words = [
            "track",
            str(video),
            "--mask",
            str(mask),
            "--resize-mask",
            "--max-frames",
            "1",
            "--model",
            str(weights),
        ]
        result = CliRunner().invoke(app, [*words, *SIZE, "--out", str(tmp_path / "out")])
        assert result.exit_code == 0, result.output
        assert run_file(tmp_path / "out")["request"]["prompts"][0]["mask_px"] == int((truth(0) > 0).sum())

    def test_empty(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        mask = self.save(np.zeros((HEIGHT, WIDTH), np.uint8), tmp_path / "empty.png")
        assert "is empty" in refused(video, "--mask", mask)

    def test_soft_edges(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        soft = np.asarray(Image.fromarray(truth(0)).resize((50, 40)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
        assert "is not a mask" in refused(video, "--mask", self.save(soft, tmp_path / "soft.png"))

    def test_photograph(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        assert "is not a mask" in refused(video, "--mask", self.save(picture(0), tmp_path / "photo.png"))

    def test_missing(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        assert "no such file" in refused(video, "--mask", tmp_path / "none.png")

    def test_with_points_for_the_same_object(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        mask = self.save(truth(0), tmp_path / "mask.png")
        assert "one or the other" in refused(video, "--mask", mask, *POINT)


class _Code:
    """A pickle that would run a command."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.flag),)


class TestModels:
    def test_unknown_name_gives_the_nearest(self, refused: Callable[..., str], video: Path) -> None:
        assert "sam2.1-hiera-tiny" in refused(video, *POINT, model="sam2.1-heira-tiny")

    def test_no_such_file_of_weights(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        line = refused(video, *POINT, model=tmp_path / "none.safetensors")
        assert "there is no file" in line
        assert "none.safetensors" in line

    @pytest.mark.parametrize("offline", [True, False])
    def test_no_network_and_nothing_cached(
        self,
        refused: Callable[..., str],
        video: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        offline: bool,
    ) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1" if offline else "0")
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # between its five trials
        line = refused(video, *POINT, model="sam2.1-hiera-tiny")
        assert "sam2.1-hiera-tiny is not in the cache" in line
        assert "hf download facebook/sam2.1-hiera-tiny" in line

    def test_checkpoint_of_another_model(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        save_file({"resnet.conv1.weight": torch.zeros(8, 3, 7, 7)}, tmp_path / "resnet.safetensors")
        assert "SAM 2" in refused(video, *POINT, model=tmp_path / "resnet.safetensors")

    def test_truncated(self, refused: Callable[..., str], video: Path, weights: Path, tmp_path: Path) -> None:
        (tmp_path / "half.safetensors").write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
        line = refused(video, *POINT, model=tmp_path / "half.safetensors")
        assert "half.safetensors is cut off" in line

    def test_truncated_pickle(self, refused: Callable[..., str], video: Path, tmp_path: Path) -> None:
        torch.save({"model": {"a": torch.zeros(1000)}}, tmp_path / "whole.pt")
        (tmp_path / "half.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:2000])
        assert "half.pt is cut off after 2000 bytes" in refused(video, *POINT, model=tmp_path / "half.pt")

    @pytest.mark.parametrize("zipped", [True, False])
    def test_pickle_with_code_is_not_run(
        self, refused: Callable[..., str], video: Path, tmp_path: Path, zipped: bool
    ) -> None:
        flag = tmp_path / "it ran"
        path = tmp_path / "evil.pt"
        if zipped:
            torch.save({"model": _Code(flag)}, path)
        else:
            path.write_bytes(pickle.dumps({"model": _Code(flag)}, protocol=2))
        line = refused(video, *POINT, model=path)
        assert "evil.pt is refused: only weights are read" in line
        assert "mkdir" in line
        assert not flag.exists()


class TestFolder:
    def test_out_is_a_file(self, video: Path, weights: Path, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("mine")
        words = ["track", str(video), *POINT, "--model", str(weights), *SIZE, "--out", str(tmp_path / "out")]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert "is a file, expected a folder" in result.stderr
        assert (tmp_path / "out").read_text() == "mine"

    @pytest.mark.parametrize("name", ["masks", "overlay.mp4", "masks.jsonl", "run.json"])
    def test_results_of_somebody_else(self, video: Path, weights: Path, tmp_path: Path, name: str) -> None:
        out = tmp_path / "out"
        out.mkdir()
        (out / name).write_text("mine")
        words = ["track", str(video), *POINT, "--model", str(weights), *SIZE, "--out", str(out)]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert f"holds {name} that no known run has written" in result.stderr
        assert "--overwrite" in result.stderr
        assert [path.name for path in out.iterdir()] == [name]

    def test_no_right_to_write(self, video: Path, weights: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        out = tmp_path / "file" / "out"
        words = ["track", str(video), *POINT, "--model", str(weights), *SIZE, "--out", str(out)]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert f"cannot write {out}" in result.stderr


class TestFullDisk:
    def test_what_was_written_is_readable_and_goes_on(
        self, video: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The system says "no space left" in the middle of a line."""
        out = tmp_path / "out"
        words = ["track", str(video), *POINT, "--model", str(weights), *SIZE, "--out", str(out), "--save-every", "0"]
        write, room = os.write, 2000
        used = 0

        def limited(file: int, data: bytes) -> int:
            nonlocal used
            if used + len(data) > room:
                if used < room:
                    count = write(file, data[: room - used])
                    used += count
                    return count
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            used += len(data)
            return write(file, data)

        monkeypatch.setattr("maskscope.data.rle.os.write", limited)
        result = CliRunner().invoke(app, words)
        monkeypatch.undo()
        assert result.exit_code == 2, result.output
        assert len(result.stderr.strip().splitlines()) == 1
        assert "disk full while writing" in result.stderr
        lines = list(read_rle(out / "masks.jsonl"))
        assert 0 < len(lines) < FRAMES
        assert len(mask_files(out)) >= len(lines)
        assert len(list(open_video(out / "overlay.mp4"))) >= len(lines)

        assert CliRunner().invoke(app, words).exit_code == 0
        assert [line["frame"] for line in records(out)] == list(range(FRAMES))
        assert len(overlay_times(out)) == FRAMES
        assert run_file(out)["runs"][-1]["frames"] < FRAMES, "it started over"

    def test_the_system_refuses_for_real(self, weights: Path, tmp_path: Path) -> None:
        """A limit on the size of files, so that the kernel itself fails a write in the middle."""
        out = tmp_path / "out"
        video = make_video(tmp_path / "longer.mp4", 40)
        words = ["track", str(video), *POINT, "--model", str(weights), *SIZE, "--out", str(out)]
        process = subprocess.run(
            [sys.executable, "-m", "maskscope.cli.main", *words],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, 15_000)),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert process.returncode == 2, process.stderr
        assert len(process.stderr.strip().splitlines()) == 1, process.stderr
        assert process.stderr.startswith("error: cannot write ")
        assert "File too large" in process.stderr
        assert 0 < len(list(read_rle(out / "masks.jsonl"))) < 40
        assert len(list(open_video(out / "overlay.mp4"))) > 0
        assert all(mask.shape == (HEIGHT, WIDTH) for mask in mask_files(out).values())
        assert run_file(out)["status"] == "failed"
        assert "File too large" in run_file(out)["reason"]
        assert not list(out.rglob("*.part*"))
