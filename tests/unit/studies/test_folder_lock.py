"""Two runs never write to one folder, and a lock outlives no process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from maskscope.errors import OutputError
from maskscope.studies.folder_lock import LOCK_NAME, folder_lock


def test_the_second_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path),
        pytest.raises(OutputError, match=rf"another run \(process {os.getpid()}\); wait for it"),
        folder_lock(tmp_path),
    ):
        pass
    with folder_lock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made_and_stays_only_with_something_in_it(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "a" / "empty"):
        pass
    assert not (tmp_path / "a" / "empty").exists()
    with folder_lock(tmp_path / "full"):
        (tmp_path / "full" / "result").touch()
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["result"]


def test_a_file_left_behind_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("1\n")
    with folder_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_a_killed_process_gives_it_up(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from maskscope.studies.folder_lock import folder_lock\n"
    code += "with folder_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(OutputError, match=f"process {process.pid}"), folder_lock(tmp_path):
        pass
    process.kill()
    process.wait(10)
    process.stdout.close()
    began = time.monotonic()
    with folder_lock(tmp_path):
        assert time.monotonic() - began < 5
