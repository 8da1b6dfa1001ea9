"""`maskscope finetune` on a tiny data set: it learns, judges itself by what it held out, never writes a worse model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from track_cases import POINT, make_video
from typer.testing import CliRunner

from labelled_clips import small_animals
from maskscope.cli.main import app
from maskscope.evaluate.statistics import Interval
from maskscope.model.checkpoints import load_model, read_checkpoint
from maskscope.studies import finetune
from maskscope.studies.finetune import Comparison
from maskscope.studies.labelled_folder import open_labelled

CLIPS, FRAMES, SIZE = ("one", "two", "three"), 8, "96x160"


def run(arguments: Sequence[str | Path]) -> Any:
    return CliRunner().invoke(app, ["finetune", *map(str, arguments), "--device", "cpu"])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of an animal, every second frame labelled."""
    root = tmp_path_factory.mktemp("data") / "animals"
    for seed, name in enumerate(CLIPS, 1):
        clip = small_animals(seed=seed, num_frames=FRAMES, num_objects=1, object_height=0.5)
        images, masks = root / "JPEGImages" / name, root / "Annotations" / name
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for t in range(FRAMES):
            Image.fromarray(clip.frames[t]).save(images / f"{t:05d}.png")
            if t % 2 == 0:
                Image.fromarray(clip.visible_masks[t]).save(masks / f"{t:05d}.png")
    return root


@pytest.fixture
def without_bundled_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring the bundled clip takes longer than all the rest of these tests."""
    real = finetune._compare
    same = Interval(0.5, 0.4, 0.6)

    def compare(*arguments: Any) -> Comparison:
        return real(*arguments) if arguments[3] != "bundled clip" else Comparison(same, same, Interval(-0.1, -0.2, 0))

    monkeypatch.setattr(finetune, "_compare", compare)


def losses(log: Path) -> list[float]:
    return [json.loads(line)["total"] for line in log.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("without_bundled_clip")
def test_the_loss_falls_and_the_score_rises(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after a step, taken up by the same command, and the file serves `track`."""
    monkeypatch.setattr("maskscope.training.loop.LOG_EVERY", 20)
    out = tmp_path / "animals.safetensors"
    arguments = [dataset, "--out", out, "--steps", "80", "--learning-rate", "2e-4", "--freeze", "none"]
    arguments += ["--image-size", SIZE, "--held-out", "three"]
    options = finetune.FineTuneOptions(
        steps=80, learning_rate=2e-4, freeze=(), image_size=(96, 160), held_out=("three",), device="cpu"
    )
    assert finetune.fine_tune(open_labelled(dataset), out, options, stop=lambda: True) is None
    assert not out.exists()
    assert (tmp_path / "animals.safetensors.training" / "checkpoint.pt").exists()

    result = run(arguments)
    assert result.exit_code == 0, result.output
    assert "trained 80 steps on 8 labelled frames; held out (as asked for): three" in result.stdout
    assert "warning: it follows other things worse than before (bundled clip -0.100)" in result.stdout
    assert not (tmp_path / "animals.safetensors.training").exists()
    course = losses(tmp_path / "animals.safetensors.log.jsonl")
    assert len(course) == 4
    assert min(course[1:]) < course[0]
    facts = read_checkpoint(out).metadata
    before, after = (float(facts[f"held_out_j_and_f_{when}"].split()[0]) for when in ("before", "after"))
    assert after > before + 0.03
    model, base = load_model(out, device="cpu"), load_model(device="cpu")
    assert model.config == base.config, "its own input size, not that of this training"
    video = make_video(tmp_path / "disk.mp4", 3)
    words = ["track", str(video), *POINT, "--model", str(out), "--image-size", "64x96", "--device", "cpu"]
    assert CliRunner().invoke(app, [*words, "--out", str(tmp_path / "tracked")]).exit_code == 0


def test_what_does_no_better_is_not_written(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worse = Comparison(Interval(0.8, 0.7, 0.9), Interval(0.7, 0.6, 0.8), Interval(-0.1, -0.2, -0.05))
    monkeypatch.setattr(finetune, "_compare", lambda *_: worse)
    out = tmp_path / "same.safetensors"
    result = run([dataset, "--out", out, "--steps", "1", "--image-size", "64x96"])
    assert result.exit_code == 0, result.output
    assert f"no better on what was held out: {out} holds the weights as they were" in result.stdout.replace("\n", " ")
    assert "held out                  0.800 [0.700, 0.900]" in result.stdout
    ours, base = load_model(out, device="cpu").state_dict(), load_model(device="cpu").state_dict()
    assert all(np.array_equal(ours[name], value) for name, value in base.items())
    assert read_checkpoint(out).metadata["fine_tuned"] == "no"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--freeze", "encoder"], "no part 'encoder' to freeze; its parts: appearance_key, image_encoder,"),
        (["--held-out", "four"], "'four' cannot be held out; clips with two labelled frames or more: one, three, two"),
        (["--image-size", "64"], "is not HEIGHTxWIDTH"),
        (["--model", "none.safetensors"], "there is no file none.safetensors"),
        (["--learning-rate", "0"], "a rate above 0"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    dataset: Path, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    result = run([dataset, "--out", tmp_path / "out.safetensors", *arguments])
    assert result.exit_code == 2, result.output
    [line] = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert problem in line
    assert list(tmp_path.iterdir()) == []


def test_bad_labels_are_one_line(dataset: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"

    def add(first: int, end: int) -> None:
        for part in ("JPEGImages", "Annotations"):
            (few / part / "one").mkdir(parents=True, exist_ok=True)
            content = (dataset / part / "one" / "00000.png").read_bytes()
            for t in range(first, end):
                (few / part / "one" / f"{t:05d}.png").write_bytes(content)

    add(0, 4)
    out = tmp_path / "out.safetensors"
    assert "there are 4 labelled frames" in run([few, "--out", out]).stderr
    assert "no such folder" in run([tmp_path / "nowhere", "--out", out]).stderr
    add(4, 6)
    Image.new("L", (40, 30)).save(few / "Annotations" / "one" / "00003.png")
    assert "is 40x30, the first frame of one is 160x96" in run([few, "--out", out]).stderr
    (few / "Annotations" / "one" / "00003.png").write_bytes((few / "Annotations" / "one" / "00002.png").read_bytes())
    (few / "JPEGImages" / "one" / "00002.png").write_bytes(b"no picture")
    assert "cannot read" in run([few, "--out", out]).stderr
    assert not (tmp_path / "out.safetensors.training").exists()
    out.write_bytes(b"kept")
    assert "exists already" in run([dataset, "--out", out]).stderr
    assert out.read_bytes() == b"kept"
