"""`maskscope adapt` and `maskscope track --adapt`: a model learns the objects of one frame."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from track_cases import POINT, make_video, mask_files, picture, run_file, truth
from typer.testing import CliRunner

from labelled_clips import small_animals
from maskscope.cli import adapt as cli_adapt
from maskscope.cli.main import app
from maskscope.errors import PromptError, SettingError, ShapeError
from maskscope.evaluate.region import region_similarity
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model, read_checkpoint
from maskscope.studies.adapt import TRAINED, AdaptOptions, adapt
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.tracker import Tracker
from tiny_training import TINY

SIZE = ("--image-size", "96x128")


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clip") / "disk.mp4", 6)


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mask") / "first.png"
    Image.fromarray(truth(0)).save(path)
    return path


@pytest.mark.slow
def test_it_learns_the_object_and_leaves_the_model_and_other_parts_as_they_are() -> None:
    """An animal beside another: it is followed better, on made-up motion and on real one."""
    clip = small_animals(seed=3, num_frames=12, num_objects=2, object_height=0.4, likeness=0.5)
    truths = [labels == 1 for labels in clip.visible_masks]
    model = load_model(device="cpu", image_size=(96, 160))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    steps: list[int] = []
    adapted = adapt(
        model, clip.frames[0], truths[0].astype(np.uint8), AdaptOptions(30, 2), watch=lambda r: steps.append(r.step)
    )
    assert adapted is not None
    assert adapted.better
    assert steps == list(range(1, 31))
    assert not adapted.model.training
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    changed = {n.split(".")[0] for n, v in adapted.model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == set(TRAINED)
    assert followed(adapted.model, clip.frames, truths) > followed(model, clip.frames, truths) + 0.03


def followed(model: SAM2, frames: Sequence[NDArray[np.uint8]], truths: Sequence[NDArray[np.bool_]]) -> float:
    """Mean J, the first mask given."""
    tracker = Tracker(model)
    found = [tracker.step(f, [Prompt(1, mask=truths[0])] if t == 0 else ()).masks[0] for t, f in enumerate(frames)]
    return float(np.mean([region_similarity(one, truth) for one, truth in zip(found, truths, strict=True)]))


def test_the_same_wish_gives_the_same_weights() -> None:
    model = load_model(device="cpu", image_size=(64, 96))
    one, again = (adapt(model, picture(0), truth(0) // 255, AdaptOptions(2, 1)) for _ in range(2))
    assert one is not None
    assert again is not None
    for a, b in zip(one.model.parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_model_of_another_trunk_and_a_square_input_is_adapted_as_well() -> None:
    """Several objects, of which each clip follows one."""
    torch.manual_seed(0)
    model = SAM2(replace(TINY, image_size=(64, 64))).eval()
    labels = truth(0) // 255
    labels[60:80, 90:120] = 7
    seen: list[int] = []
    adapted = adapt(model, picture(0), labels, AdaptOptions(2, 1), watch=lambda report: seen.append(report.step))
    assert adapted is not None
    assert seen == [1, 2]
    assert 0 <= adapted.after <= 1


def test_the_model_comes_back_where_it_learned_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskscope.studies.adapt._score", lambda *_: 0.5)
    model = load_model(device="cpu", image_size=(64, 96))
    adapted = adapt(model, picture(0), truth(0) // 255, AdaptOptions(1))
    assert adapted is not None
    assert not adapted.better
    assert adapted.model is model


def test_what_cannot_be_adapted_to_is_told() -> None:
    model = load_model(device="cpu", image_size=(64, 96))
    with pytest.raises(ShapeError, match="one size"):
        adapt(model, picture(0), truth(0)[:50])
    with pytest.raises(PromptError, match="no object"):
        adapt(model, picture(0), np.zeros_like(truth(0)))
    with pytest.raises(SettingError, match="rate above 0"):
        AdaptOptions(learning_rate=float("nan"))
    with pytest.raises(SettingError, match="at most 1"):
        AdaptOptions(share=1.5)
    speck = np.zeros((960, 1280), np.uint8)
    speck[501, 701] = 1
    with pytest.raises(PromptError, match="too small"):
        adapt(model, np.zeros((960, 1280, 3), np.uint8), speck)
    pixel = np.zeros_like(truth(0))
    pixel[49, 70] = 1  # still there at twice the input's area, and gone at the input's
    with pytest.raises(PromptError, match="too small"):
        adapt(model, picture(0), pixel)
    assert adapt(model, picture(0), truth(0) // 255, AdaptOptions(3), stop=lambda: True) is None


def test_the_file_serves_track_and_is_used_again(
    video: Path, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wish = ["adapt", video, "--mask", mask, "--steps", "3", "--device", "cpu", *SIZE]
    first = run(*wish)
    assert first.exit_code == 0, first.output
    weights, masks = tmp_path / "disk-adapted.safetensors", tmp_path / "disk-adapted-masks.png"
    assert "J 0." in first.output
    command = (
        f"maskscope track {video} --mask disk-adapted-masks.png --model disk-adapted.safetensors --image-size 96x128"
    )
    assert command in first.output
    assert "warning" not in first.output
    np.testing.assert_array_equal(np.asarray(Image.open(masks)), truth(0) // 255)
    found = read_checkpoint(weights)
    assert found.config.image_size == load_model().config.image_size, "of the model, not of this call"
    assert found.metadata["adapted_from"] == "compact"
    written = weights.stat().st_mtime_ns
    assert "was adapted before" in run(*wish).output
    assert weights.stat().st_mtime_ns == written
    by_hand = np.asarray(Image.open(masks)).copy()
    Image.fromarray(by_hand * 0 + 1).save(masks)
    changed = run(*wish)
    assert changed.exit_code == 2
    assert "was changed since" in changed.output
    Image.fromarray(by_hand).save(masks)
    other = run(*wish[:-4], *SIZE, "--seed", "5")
    assert other.exit_code == 2
    assert "exists already" in other.output
    tracked = run("track", video, "--mask", masks, "--model", weights, *SIZE, "--out", "out", "--no-overlay")
    assert tracked.exit_code == 0, tracked.output
    assert len(mask_files(tmp_path / "out")) == 6


def test_track_adapts_first_and_goes_on_with_the_same_weights(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marked by a point: the model's own mask of it is learned, and tracked."""
    monkeypatch.setattr("maskscope.studies.adapt.AdaptOptions.__init__.__defaults__", (2, 1, 3, 3e-4, 0.75, 0))
    wish = ["track", video, *POINT, "--adapt", *SIZE, "--out", tmp_path / "out", "--no-overlay", "--device", "cpu"]
    first = run(*wish)
    assert first.exit_code == 0, first.output
    asked = run_file(tmp_path / "out")["request"]
    assert Path(asked["model"]["path"]) == tmp_path / "out-adapted.safetensors"
    assert asked["prompts"][0]["mask_px"] > 100
    assert "is the model's own mask" in first.output
    (tmp_path / "out" / "masks" / "00005.png").unlink()
    again = run(*wish)
    assert "was adapted before" in again.output
    more = run(*wish, "--overwrite")
    assert more.exit_code == 0, more.output
    assert len(mask_files(tmp_path / "out")) == 6


def test_inputs_are_not_written_over_and_settings_of_track_are_tried_before_training(
    video: Path, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = video.read_bytes()
    for arguments, told in (
        (["adapt", video, "--mask", mask, "--out", video, "--overwrite"], "written over or among the input"),
        (["adapt", video, "--mask", mask, "--out", "."], "is a folder"),
        (["track", video, "--mask", mask, "--adapt", "--out", "out", "--policy", "nonsense"], "nonsense"),
        (["track", video, "--mask", mask, "--adapt", "--out", "out", "--max-frames", "0"], "nothing to do"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert told in result.output
        assert len(result.output.strip().splitlines()) == 1
    assert video.read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_the_command_and_the_library_train_as_long() -> None:
    assert inspect.signature(cli_adapt.adapt).parameters["steps"].default == AdaptOptions().steps


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--frame", "9", *POINT], "has no frame 9"),
        ([], "nothing says which object"),
        (["--point", "900,10"], "outside the frame"),
        ([*POINT, "--model", "missing.safetensors"], "missing.safetensors"),
        ([*POINT, "--image-size", "50x50"], "multiples of 32"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("adapt", video, *arguments, "--steps", "1", "--device", "cpu")
    assert result.exit_code == 2
    assert told in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
