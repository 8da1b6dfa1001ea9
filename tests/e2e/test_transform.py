"""`maskscope transform` as it is typed: data, previews, mistakes, and an interrupt that loses one sequence at most."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from davis_folder import FRAMES, files_below, write_davis
from PIL import Image
from typer.testing import CliRunner, Result

from maskscope.cli.console import ProgressBar
from maskscope.cli.main import app
from maskscope.cli.transform import default_folder, gather_recipes
from maskscope.data.davis import DavisDataset
from maskscope.errors import SettingError
from maskscope.transforms.chain import Recipe


@pytest.fixture(scope="module")
def davis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_davis(tmp_path_factory.mktemp("davis"))


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["transform", *map(str, words)])


def test_a_chain_on_a_data_set(davis: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (
        "--family",
        "speed/decimate:1",
        "--family",
        "illumination/exposure-static",
        "--severity",
        "4",
        "--seed",
        "3",
    )
    result = call(davis, *words, "--out", out)
    assert result.exit_code == 0, result.output
    assert "2 sequences in" in result.stdout
    said = json.loads((out / "manifest.json").read_text())
    assert [one["recipe"] for one in said["request"]["recipes"]] == [
        "speed/decimate:1@3",
        "illumination/exposure-static:4@3",
    ]
    found, source = DavisDataset(out), DavisDataset(davis)
    for name in ("cow", "dog"):
        assert found[name].num_frames == 3
        frames = json.loads((out / "manifests" / f"{name}.json").read_text())["frames"]
        assert [frame["source_time"] for frame in frames] == [0, 2, 4]
        np.testing.assert_array_equal(found[name].masks(1), source[name].masks(2))
        light = [float(found[name].frame(t).mean()) - float(source[name].frame(2 * t).mean()) for t in range(3)]
        assert abs(light[0]) < 1, "the prompted frame keeps its light"
        assert min(abs(light[1]), abs(light[2])) > 20
        assert frames[1]["strengths"][1] > 0.5
    again = call(davis, *words, "--seed", "3", "--out", out)
    assert again.exit_code == 0
    assert "was complete already" in again.stdout


def test_the_same_command_gives_the_same_bytes_in_another_process(davis: Path, tmp_path: Path) -> None:
    words = ["transform", str(davis), "--family", "corruption:2@5", "--sequences", "dog", "--out"]
    assert CliRunner().invoke(app, [*words, str(tmp_path / "one")]).exit_code == 0
    code = (
        "import sys; from maskscope.cli.main import app; app(sys.argv[1:], standalone_mode=False);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words, str(tmp_path / "two")], check=False, capture_output=True)
    assert done.returncode == 0, f"{done.stderr.decode()} (or PyTorch was loaded for nothing)"
    one, two = files_below(tmp_path / "one"), files_below(tmp_path / "two")
    assert len(one) == 3 * FRAMES + 3
    del one["manifest.json"], two["manifest.json"]  # it says how the program was called
    assert one == two


def test_preview(davis: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    words = ("--preview", "--family", "illumination/gamma-static", "--family", "speed/reverse", "--out", sheet)
    result = call(davis, *words, "--severity", "0", "--severity", "5", "--sequences", "dog")
    assert result.exit_code == 0, result.output
    assert f"look at {sheet}" in result.stdout
    with Image.open(sheet) as picture:
        assert picture.width == 800
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    half = pixels.shape[0] // 2
    assert np.abs(pixels[:half, :390] - pixels[:half, 410:]).mean() > 10, "another gamma"
    assert pixels[:20, :40].min() < 40, "the plate of a title"
    assert pixels[:20, :100].max() > 240, "a title"
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 110) & (pixels[..., 2] < 110)
    assert red[40:half, :390].sum() > 100, "an outline"
    assert "exists already" in call(davis, *words).stderr
    assert call(davis, *words, "--overwrite", "--frame", "2", "--severity", "3").exit_code == 0


def test_interrupt_goes_on(davis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (davis, "--family", "illumination:2", "--out", tmp_path / "out")
    show = ProgressBar.__call__

    def interrupted(self: ProgressBar, progress: Any) -> None:
        show(self, progress)
        if progress.stage.startswith("dog") and progress.done == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "__call__", interrupted)
    result = call(*words)
    monkeypatch.undo()
    assert result.exit_code == 130
    assert "stopped; 1 of 2 sequences are in" in result.stderr
    assert DavisDataset(tmp_path / "out").sequences == ["cow"]
    assert call(*words).exit_code == 0
    whole = (davis, "--family", "illumination:2", "--out", tmp_path / "whole")
    assert call(*whole).exit_code == 0
    assert files_below(tmp_path / "out") == files_below(tmp_path / "whole")


class TestRefused:
    @pytest.fixture
    def refused(self, tmp_path: Path) -> Callable[..., str]:
        def one_line(*words: str | Path) -> str:
            out = tmp_path / "refused"
            result = call(*words, "--out", out)
            assert result.exit_code == 2, f"{result.exit_code}: {result.output} {result.exception!r}"
            (line,) = result.stderr.strip().splitlines()
            assert line.startswith("error: ")
            assert result.stdout == ""
            assert not out.exists()
            return line

        return one_line

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ((), "no transformation is named; for example --family occlusion --severity 3"),
            (("--family", "ocklusion:3"), "no family of transformations is called 'ocklusion'; did you mean occlusion"),
            (("--family", "speed"), "'speed' has no severity"),
            (("--family", "speed:9"), "severity 9 of speed is out of range; expected 0"),
            (("--family", "speed:2", "--severity", "3"), "--family speed:2 has its severity already"),
            (("--family", "speed", "--severity", "1", "--severity", "2"), "1 families and 2 severities"),
            (("--family", "speed/warp:2"), "speed has no variant 'warp'"),
            (("--family", "speed:2", "--seed", "-1"), "seed -1 of speed is negative"),
            (("--family", "speed:2", "--sequences", "dog,cta"), "has no sequence 'cta'"),
            (("--family", "speed:2", "--masks", "."), "has its own masks"),
            (("--family", "speed:2", "--frame", "2"), "--frame is for --preview"),
            (("--family", "speed:2", "--material", "/nowhere"), "no such folder: /nowhere"),
            (("--preview", "--lossless"), "--lossless is for data"),
            (("--preview", "--family", "speed:2"), "--preview shows each family at all severities"),
            (("--preview", "--sequences", "cow,dog"), "--preview shows one clip"),
            (("--preview", "--frame", "5"), "expected a PNG|is a PNG"),
        ],
    )
    def test_mistakes(self, refused: Callable[..., str], davis: Path, words: tuple[str, ...], says: str) -> None:
        line = refused(davis, *words)
        assert any(part in line for part in says.split("|")), line

    def test_inputs(self, refused: Callable[..., str], davis: Path, tmp_path: Path) -> None:
        assert "no such folder" in refused(tmp_path / "nothing", "--family", "speed:2")
        images = davis / "JPEGImages" / "480p" / "dog"
        assert "give --masks DIR" in refused(images, "--family", "speed:2")
        short = write_davis(tmp_path / "short", ("dog",), frames=1)
        assert "dog has 1 frame" in refused(short, "--family", "illumination:2")

    def test_frame_outside(self, davis: Path, tmp_path: Path) -> None:
        result = call(davis, "--preview", "--frame", "5", "--out", tmp_path / "sheet.png")
        assert result.exit_code == 2
        assert "cow has no frame 5: it has 5 frames; give a number from 0 to 4" in result.stderr


class TestWords:
    def test_severities_belong_to_families_in_order(self) -> None:
        both = ["speed", "occlusion/pass"]
        assert gather_recipes(both, [2, 4], 7) == (Recipe("speed", 2, 7), Recipe("occlusion", 4, 7, "pass"))
        assert gather_recipes(both, [3], 0) == (Recipe("speed", 3), Recipe("occlusion", 3, 0, "pass"))
        assert gather_recipes(["speed:1@5", "occlusion"], [3], 7) == (Recipe("speed", 1, 5), Recipe("occlusion", 3, 7))
        with pytest.raises(SettingError, match="speed:1 has its severity already"):
            gather_recipes(["occlusion", "speed:1"], [2, 3], 0)

    @pytest.mark.parametrize(
        ("source", "name"),
        [("data/DAVIS", "DAVIS-speed"), ("data/DAVIS/", "DAVIS-speed"), ("my clip.v2.mp4", "my-clip.v2-speed")],
    )
    def test_default_folder(self, source: str, name: str) -> None:
        assert default_folder(source, ["speed"]) == Path(name)
