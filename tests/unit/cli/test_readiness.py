"""`maskscope readiness`: mistakes are one line, and are found before anything is computed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from made_up_readiness import made_up_readiness, too_short
from maskscope.cli.main import app
from maskscope.cli.readiness import _told
from maskscope.errors import SettingError
from maskscope.readiness.budget import QUICK, STANDARD, Budget
from maskscope.studies.readiness.study import ReadinessOptions


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "film"
    folder.mkdir()
    for t in range(3):
        cv2.imwrite(str(folder / f"{t:05d}.png"), np.full((32, 48, 3), 90 + t, np.uint8))
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lang", "fr"], "there is no page in the language 'fr'; give en or ja"),
        (["--cost-miss", "0"], "--cost-miss is 0, expected more than 0; leave it out for the default"),
        (["--cost-false-alarm=-2"], "--cost-false-alarm is -2, expected more than 0; leave it out for the default"),
        (["--objects-per-hour", "0"], "--objects-per-hour is 0, expected more than 0; leave it out for the default"),
        (["--cost-review-minute", "nan"], "--cost-review-minute is nan, expected more than 0; leave it out for the"),
        (["--reference", "none.json"], "there is no none.json; give readiness.json of an earlier run"),
        (["--thresholds", "a.json"], "--thresholds is for watching a stream; add --watch, or leave it out"),
        (["--every", "2"], "--every is for watching a stream; add --watch, or leave it out"),
        (["--watch", "--lang", "ja"], "--lang means nothing with --watch; leave one of them out"),
        (["--quick", "--full"], "--quick and --full contradict each other; leave one of them out"),
        (["--watch", "--quick"], "--quick means nothing with --watch; leave one of them out"),
        (["--keep", "1.5"], "--keep is 1.5, expected a share between 0 and 1; give such as 0.8"),
        ([], "film has 3 frames from the marked one on, too short to conclude anything; give 24 at least; 10 s"),
    ],
)
def test_a_mistake_is_one_line(film: Path, tmp_path: Path, options: list[str], said: str) -> None:
    command = ["readiness", str(film), "--point", "20,20", "--out", str(tmp_path / "out"), *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert done.output.startswith(f"error: {said}")
    assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("words", "budget"), [([], None), (["--quick"], QUICK), (["--full"], STANDARD)])
def test_how_much_is_tracked_is_asked_for_or_left_to_the_machine(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], budget: Budget | None
) -> None:
    given: list[ReadinessOptions] = []

    def assess(clip: object, prompts: object, folder: object, options: ReadinessOptions, **_: object) -> None:
        given.append(options)
        raise SettingError("seen", "nothing")

    monkeypatch.setattr("maskscope.studies.readiness.study.assess_readiness", assess)
    for number in range(3, 24):
        cv2.imwrite(str(film / f"{number:05d}.png"), np.full((32, 48, 3), 90, np.uint8))
    CliRunner().invoke(app, ["readiness", str(film), "--point", "20,20", "--out", str(tmp_path / "out"), *words])
    assert [options.budget for options in given] == [budget]


def test_a_clip_of_one_frame_is_told_what_length_would_do(film: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (film / f"{number:05d}.png").unlink()
    done = CliRunner().invoke(app, ["readiness", str(film), "--point", "20,20", "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert done.output == "error: film has no frame after frame 0; give 24 at least; 10 s let limits be told\n"


def test_a_mask_of_another_size_and_a_clip_that_is_not_there_are_told_with_what_can_be_done(
    film: Path, tmp_path: Path
) -> None:
    mask = tmp_path / "mask.png"
    cv2.imwrite(str(mask), np.full((16, 16), 255, np.uint8))
    done = CliRunner().invoke(app, ["readiness", str(film), "--mask", str(mask)])
    assert done.exit_code == 2
    assert done.output == f"error: mask {mask} is 16 x 16, the video is 48 x 32; give a mask of the video's size\n"
    gone = CliRunner().invoke(app, ["readiness", "gone.mp4", "--point", "3,3"])
    assert gone.exit_code == 2
    assert gone.output == "error: there is no gone.mp4; give a video file, a folder of images, or a data set\n"


def test_without_a_prompt_it_asks_for_one(film: Path) -> None:
    done = CliRunner().invoke(app, ["readiness", str(film)])
    assert done.exit_code == 2
    assert "--point" in done.output


def test_what_the_terminal_says_of_a_result() -> None:
    lines = _told(too_short(made_up_readiness())).splitlines()
    assert lines[1].split() == ["resolution", "854", "124", "[114,", "134]", "155", "px"]
    assert lines[2].split() == ["frame_rate", "1", "-", "-", "frames/s"]
    assert lines[4].split() == ["light_up", "0", ">=", "4", ">=", "3", "stops"]
    assert "  mitigate  lookalikes  (lookalike.background)" in lines
    assert "short tasks: mitigate" in lines
