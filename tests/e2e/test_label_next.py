"""`maskscope label-next` on a video and on a folder that is being labelled."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from track_cases import POINT, SIZE, make_video, make_weights, picture, truth
from typer.testing import CliRunner

from maskscope.cli.main import app

FRAMES = 6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    weights = make_weights(tmp_path_factory.mktemp("weights") / "untrained.safetensors")
    return ["--model", str(weights), *SIZE, "--device", "cpu"]


def rows(table: str) -> list[list[str]]:
    lines = table.strip().splitlines()
    assert lines[0].split() == ["clip", "frame", "object", "risk", "why"]
    return [line.split(maxsplit=5) for line in lines[1:]]


def test_a_video_with_a_first_label(tmp_path: Path, model: list[str]) -> None:
    video = make_video(tmp_path / "disk.mp4", FRAMES)
    result = CliRunner().invoke(app, ["label-next", str(video), *POINT, "--count", "2", *model])
    assert result.exit_code == 0, result.output
    found = rows(result.stdout)
    assert [row[0] for row in found] == ["1", "2"]
    assert all(row[1] == "disk.mp4" and row[3] == "1" and 0 <= float(row[4]) <= 1 and row[5] for row in found)
    assert len({row[2] for row in found} | {"0"}) == 3, "frames that are not labelled yet"


def test_a_folder_with_masks_on_some_frames(tmp_path: Path, model: list[str]) -> None:
    for name, labelled in (("one", (0, 3)), ("two", (2,)), ("full", range(FRAMES)), ("none", ())):
        images, masks = (tmp_path / part / "480p" / name for part in ("JPEGImages", "Annotations"))
        images.mkdir(parents=True)
        for t in range(FRAMES if name != "full" else 2):
            Image.fromarray(picture(t)).save(images / f"{t:05d}.png")
            if t in labelled:
                masks.mkdir(parents=True, exist_ok=True)
                Image.fromarray(truth(t)).save(masks / f"{t:05d}.png")
    result = CliRunner().invoke(app, ["label-next", str(tmp_path), "--count", "20", *model])
    assert result.exit_code == 0, result.output
    found = {(row[1], int(row[2])) for row in rows(result.stdout)}
    assert found == {*(("one", t) for t in (1, 2, 4, 5)), *(("two", t) for t in (0, 1, 3, 4, 5))}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "nothing says which object to follow"),
        ([*POINT, "--frame", "9"], "frame 9 is not in"),
        (["--point", "500,4"], "lies outside the frame"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, model: list[str], arguments: list[str], problem: str) -> None:
    video = make_video(tmp_path / "disk.mp4", 2)
    result = CliRunner().invoke(app, ["label-next", str(video), *arguments, *model])
    assert result.exit_code == 2
    [line] = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert problem in line
