"""When a run may write to a folder, when it goes on there, and what it removes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maskscope.errors import OutputError
from maskscope.studies.result_folder import ResultFolder, Status

REQUEST = {"input": "dog.mp4", "model": "compact", "image_size": (64, 96)}
FACTS = {"request": REQUEST, "resolved": {}, "runs": []}


def folder_with(path: Path, status: Status, session: bool) -> ResultFolder:
    folder = ResultFolder(path)
    folder.write_run(status, FACTS)
    folder.records.write_text("{}\n")
    if session:
        folder.session.write_bytes(b"state")
    return folder


def test_nothing_there(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "out")
    assert folder.examine(REQUEST, overwrite=False) is None
    assert not folder.path.exists()


def test_other_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "dog.mp4").touch()
    assert ResultFolder(tmp_path).examine(REQUEST, overwrite=False) is None


UNFINISHED: list[Status] = ["running", "stopped", "broken", "failed"]


@pytest.mark.parametrize("status", UNFINISHED)
def test_the_same_unfinished_run_goes_on_unless_told_to_start_over(tmp_path: Path, status: Status) -> None:
    folder = folder_with(tmp_path, status, session=True)
    earlier = folder.examine(REQUEST, overwrite=False)
    assert earlier is not None
    assert earlier["request"]["image_size"] == [64, 96]
    assert folder.examine(REQUEST, overwrite=True) is None


@pytest.mark.parametrize("status", UNFINISHED)
def test_frames_without_a_session_are_kept(tmp_path: Path, status: Status) -> None:
    folder = folder_with(tmp_path, status, session=False)
    with pytest.raises(OutputError, match=r"no state to go on from; name another folder with --out.*--overwrite"):
        folder.examine(REQUEST, overwrite=False)
    assert folder.examine(REQUEST, overwrite=True) is None


def test_a_run_that_died_before_its_first_frame_starts_afresh(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "running", session=False)
    folder.records.write_bytes(b"")
    folder.masks.mkdir()
    assert folder.examine(REQUEST, overwrite=False) is None


def test_a_finished_run_is_kept(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "finished", session=False)
    with pytest.raises(OutputError, match=r"finished results of this very run.*--overwrite"):
        folder.examine(REQUEST, overwrite=False)
    assert folder.examine(REQUEST, overwrite=True) is None


def test_another_run_is_kept_and_told_apart(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "stopped", session=True)
    with pytest.raises(OutputError, match=r"another run \(other model, image size\)"):
        folder.examine(REQUEST | {"model": "sam2.1-hiera-tiny", "image_size": None}, overwrite=False)


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"format": "maskscope.run/1", "status": "finished"})])
def test_a_run_file_of_somebody_else(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(OutputError, match=r"holds run\.json that no known run has written"):
        ResultFolder(tmp_path).examine(REQUEST, overwrite=False)


def test_clearing_removes_results_only(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "stopped", session=True)
    folder.masks.mkdir()
    for name in ("masks/00000.png", "masks/.00001.png.part", "overlay.mp4", "overlay-00012.mp4"):
        (tmp_path / name).touch()
    for name in ("masks/notes.txt", "overlay-final.mp4", "dog.mp4"):
        (tmp_path / name).touch()
    folder.clear()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["dog.mp4", "masks/notes.txt", "overlay-final.mp4"]


def test_knows_what_it_would_write_over(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    assert folder.holds(tmp_path / "x" / ".." / "overlay.mp4")
    assert folder.holds(tmp_path / "masks")
    assert not folder.holds(tmp_path / "dog.mp4")
