"""Features and recordings of runs: what is in them, that they are what the tracker put out, what an end leaves."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from typer.testing import CliRunner

from maskscope.cli.main import app
from maskscope.errors import OutputError, SettingError
from maskscope.model import SAM2
from maskscope.observe.probe import Sight
from maskscope.stages import STAGES, Stage
from maskscope.studies.diagnose import DiagnoseOptions, diagnose_clip
from maskscope.studies.keeping import Keep
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.observe import ObserveOptions, observe_clip
from maskscope.studies.rerun_recording import RerunRecording
from maskscope.studies.saved_features import FeatureChoice, FeatureFile
from maskscope.tracking.observer import Observation
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from planted import SIDE, tiny_model
from random_models import moving_square, square_mask

FRAMES = 5
OPTIONS = ObserveOptions(attention=False)
FILM = moving_square(FRAMES, SIDE, SIDE)


class Square:
    """The drifting square, with its mask on every frame."""

    name = "square"
    num_frames = FRAMES
    size = (SIDE, SIDE)

    def frame(self, index: int) -> NDArray[np.uint8]:
        return FILM[index]

    def masks(self, index: int) -> NDArray[np.uint8]:
        return square_mask(index, SIDE, SIDE).astype(np.uint8)


def clip() -> LookedAt:
    return LookedAt("square", FRAMES, (SIDE, SIDE), None, 0, FRAMES, True, Square())


def after(count: int) -> Callable[[], bool]:
    """Stops when asked that often."""
    asked = iter(range(count))
    return lambda: next(asked, None) is None


@pytest.fixture(scope="module")
def model() -> SAM2:
    return tiny_model()


def outputs(model: SAM2) -> dict[tuple[int, str], Tensor]:
    """What a tracker by itself puts out at each position, of the one object."""
    seen: dict[tuple[int, str], Tensor] = {}

    def note(observation: Observation) -> None:
        seen.setdefault((observation.frame_index, observation.stage), observation.output[0].clone())

    tracker = Tracker(model, "stock", SessionOptions(num_frames=FRAMES), [note])
    looked_at = clip()
    for t in range(FRAMES):
        tracker.step(looked_at.frame(t), looked_at.prompts() if t == 0 else ())
    return seen


def zarr() -> Any:
    return pytest.importorskip("zarr", reason="saved features need zarr: pip install 'maskscope[features]'")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_are_what_the_tracker_put_out(model: SAM2, tmp_path: Path, dtype: Any) -> None:
    library = zarr()
    keep = Keep(FeatureChoice(tmp_path / "f.zarr", dtype=dtype))
    observe_clip(clip(), clip().prompts(), tmp_path / "out", OPTIONS, model=model, keep=keep)
    group = library.open(str(tmp_path / "f.zarr"), mode="r")
    assert group.attrs["status"] == "finished"
    assert (group.attrs["clip"], group.attrs["policy"]) == ("square", "stock")
    assert group["frame"][:].tolist() == list(range(FRAMES))
    told = outputs(model)
    assert {stage for _, stage in told} == set(STAGES)
    for stage in STAGES:
        array = group[stage] if stage == "image_embedding" else group[f"{stage}/object_1"]
        assert array.dtype == dtype
        assert array.chunks == (1, *array.shape[1:])
        assert array.attrs["stage"] == stage
        if stage != "object_pointer":
            assert array.attrs["stride_video_px"] == [SIDE / side for side in array.shape[2:]]
        for t in range(FRAMES):
            if (t, stage) in told:
                expected = told[t, stage].float().numpy()[: array.shape[1]]  # beside memory lies the appearance key
                np.testing.assert_array_equal(array[t], expected.astype(dtype))
            else:
                assert np.isnan(array[t]).all()


def test_an_end_before_the_end_leaves_what_was_written(model: SAM2, tmp_path: Path) -> None:
    library = zarr()
    keep = Keep(FeatureChoice(tmp_path / "f.zarr", ("object_pointer",)))
    summary = observe_clip(clip(), clip().prompts(), tmp_path / "out", OPTIONS, model=model, keep=keep, stop=after(2))
    assert not summary.finished
    group = library.open(str(tmp_path / "f.zarr"), mode="r")
    assert group.attrs["status"] == "stopped"
    assert sorted(group.array_keys()) == ["frame"]
    there = ~np.isnan(group["object_pointer/object_1"][:]).all(1)
    assert there.tolist() == [t < summary.num_frames for t in range(FRAMES)]


def sight(frame: int, stage: Stage = "object_pointer", object_id: int = 1) -> Sight:
    return Sight(stage, "", frame, object_id, torch.full((4,), float(frame)))


def test_a_full_disk_is_one_line_and_leaves_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = zarr()
    file = FeatureFile(FeatureChoice(tmp_path / "f.zarr"), 3, 5, (8, 8), {})
    file.see(sight(0))
    array = file._arrays["object_pointer/object_1"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(array), "__setitem__", full)
    with pytest.raises(OutputError, match="disk full"):
        file.see(sight(1))
    monkeypatch.undo()
    group = library.open(str(tmp_path / "f.zarr"), mode="r")
    assert group["object_pointer/object_1"][0].tolist() == [0.0] * 4
    assert np.isnan(group["object_pointer/object_1"][1]).all()
    assert group["frame"][:].tolist() == [5, 6, 7]


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    zarr()
    choice = FeatureChoice(tmp_path / "f.zarr")
    begin: Callable[..., FeatureFile] = lambda **more: FeatureFile(choice, 3, 0, (8, 8), {}, **more)  # noqa: E731
    begin().see(sight(0))
    with pytest.raises(OutputError, match="holds features already"):
        begin()
    begin(overwrite=True)
    assert not (choice.path / "object_pointer").exists()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="holds no saved features"):
        FeatureFile(FeatureChoice(other), 3, 0, (8, 8), {}, overwrite=True)
    assert (other / "letter.txt").read_text() == "dear"


def test_wishes_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no position 'trunk'"):
        FeatureChoice(tmp_path, ("trunk",))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="float64"):
        FeatureChoice(tmp_path, dtype="float64")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="no position is named"):
        FeatureChoice(tmp_path, ())


def test_a_recording_holds_frames_masks_positions_and_series(model: SAM2, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="recordings need rerun: pip install 'maskscope[rerun]'")
    keep = Keep(rerun=tmp_path / "run.rrd")
    observe_clip(clip(), clip().prompts(), tmp_path / "out", OPTIONS, model=model, keep=keep)
    told = printed(tmp_path / "run.rrd")
    for path in (
        "/as_filmed/frame",
        "/as_filmed/frame/masks",
        "/as_filmed/object_1/image_embedding",
        "/as_filmed/object_1/memory_conditioned",
        "/measures/j/object_1/as_filmed",
        "/measures/separation_auc/image_embedding/object_1/as_filmed",
    ):
        assert path in told
    with pytest.raises(OutputError, match="is there already"):
        RerunRecording(tmp_path / "run.rrd", "square")


def test_a_diagnosis_keeps_its_clean_run_and_records_all(model: SAM2, tmp_path: Path) -> None:
    library = zarr()
    pytest.importorskip("rerun", reason="recordings need rerun: pip install 'maskscope[rerun]'")
    keep = Keep(FeatureChoice(tmp_path / "f.zarr", ("object_pointer",)), tmp_path / "run.rrd")
    options = DiagnoseOptions(OPTIONS, families=("illumination",), intervene=False, ablate=False)
    diagnose_clip(clip(), clip().prompts(), tmp_path / "out", options, model=model, keep=keep)
    group = library.open(str(tmp_path / "f.zarr"), mode="r")
    assert group.attrs["status"] == "finished"
    told = outputs(model)[2, "object_pointer"].float().numpy().astype(np.float16)
    np.testing.assert_array_equal(group["object_pointer/object_1"][2], told)
    said = printed(tmp_path / "run.rrd")
    for path in ("/as_filmed/frame/masks", "/illumination-3/frame", "/illumination-3/object_1/prompt_attended"):
        assert path in said
    assert "/measures/j/object_1/illumination-3" in said


def test_what_to_keep_needs_a_place() -> None:
    result = CliRunner().invoke(app, ["observe", "clip.mp4", "--point", "1,1", "--features-of", "object_pointer"])
    assert result.exit_code == 2
    assert "add --save-features" in result.output


def printed(recording: Path) -> str:
    """What Rerun's own reader finds in a recording."""
    said = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", "-v", str(recording)],
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout
