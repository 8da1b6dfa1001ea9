"""Grids of jobs: computed once, gone on with after any end, shared by processes, not stopped by one that fails."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from job_kinds import Broken, Deadly, Refused, lines, processes, squares

from maskscope.errors import OutputError, SettingError
from maskscope.records import read_facts, read_records
from maskscope.studies.executors import Processes
from maskscope.studies.job_claims import Claims, process_lives
from maskscope.studies.jobs import Here, Job, JobProgress, JobsSummary, run_jobs
from maskscope.studies.ray_executor import RayCluster

SCRIPT = """
import sys
from pathlib import Path
from job_kinds import squares
from maskscope.studies.executors import Processes
from maskscope.studies.jobs import Here, run_jobs

if __name__ == "__main__":
    out, processes = Path(sys.argv[1]), int(sys.argv[2])
    run_jobs(squares(6, out / "diary", steps=20, step_s=0.01), out, Processes(processes) if processes else Here())
"""


def values(summary: JobsSummary) -> list[float | None]:
    return [row.value for row in read_records(*summary.files)]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.02)


def start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """Six squares of 0.2 s in another program."""
    script = folder / "grid.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.Popen([sys.executable, script, folder, str(workers)], env={**os.environ, "PYTHONPATH": path})


class TestOnce:
    def test_what_is_finished_is_not_computed_again(self, tmp_path: Path) -> None:
        diary = tmp_path / "diary"
        first = run_jobs(squares(2, diary), tmp_path, Here())
        assert (first.computed, values(first)) == (2, [0.0, 1.0])
        said: list[JobProgress] = []
        second = run_jobs(squares(4, diary), tmp_path, Here(), progress=said.append)
        assert (second.computed, values(second)) == (2, [0.0, 1.0, 4.0, 9.0])
        assert [(one.done, one.total) for one in said] == [(20, 40), (30, 40), (40, 40)]
        assert lines(diary).count("done 0") == 1
        assert sorted(path.suffix for path in (tmp_path / "jobs").iterdir()) == [".parquet"] * 4, "no claim is left"

    def test_the_identity_names_the_file_and_its_rows(self, tmp_path: Path) -> None:
        job = squares(1, tmp_path / "diary")[0]
        assert job.digest == Job("called otherwise", dict(job.identity), job.work).digest
        assert job.digest != Job(job.label, {"square": 1}, job.work).digest
        (path,) = run_jobs([job, job], tmp_path, Here()).files
        assert path.name == f"{job.digest}.parquet"
        assert {row.run for row in read_records(path)} == {job.digest}
        assert read_facts(path)["identity"] == {"square": 0}

    @pytest.mark.parametrize("damage", ["cut", "empty", "of another job"])
    def test_a_damaged_file_is_computed_again(self, tmp_path: Path, damage: str) -> None:
        jobs = squares(2, tmp_path / "diary")
        one, other = run_jobs(jobs, tmp_path, Here()).files
        one.write_bytes({"cut": one.read_bytes()[:-20], "empty": b"", "of another job": other.read_bytes()}[damage])
        (one.parent / f".{one.name}.0123.part").write_bytes(b"half")
        again = run_jobs(jobs, tmp_path, Here())
        assert (again.computed, values(again)) == (1, [0.0, 1.0])
        assert not list(one.parent.glob(".*")), "what was half written is gone"

    def test_a_folder_that_cannot_be_written_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "jobs").write_text("")
        with pytest.raises(OutputError, match="cannot write"):
            run_jobs(squares(1, tmp_path / "diary"), tmp_path, Here())


class TestFailures:
    def test_one_failure_stops_no_other_and_is_tried_again(self, tmp_path: Path) -> None:
        diary = tmp_path / "diary"
        jobs = [Job("bad clip", {"bad": 1}, Refused()), *squares(1, diary), Job("our fault", {"bad": 2}, Broken())]
        summary = run_jobs(jobs, tmp_path, Here())
        assert summary.failed == {
            "bad clip": "the target fills the frame and cannot be hidden; take another clip",
            "our fault": "ZeroDivisionError: by nothing",
        }
        assert (values(summary), summary.left) == ([0.0], 0)
        said = json.loads((tmp_path / "jobs" / f"{jobs[2].digest}.failed.json").read_text())
        assert "job_kinds.py" in said["trace"]
        mended = Job("bad clip", {"bad": 1}, squares(1, diary)[0].work)
        assert run_jobs([mended], tmp_path, Here()).failed == {}
        assert not (tmp_path / "jobs" / f"{jobs[0].digest}.failed.json").exists()

    def test_stopping_keeps_what_is_done(self, tmp_path: Path) -> None:
        jobs = squares(3, tmp_path / "diary", steps=5)
        asked = iter(range(100))
        summary = run_jobs(jobs, tmp_path, Here(), stop=lambda: next(asked) >= 9)
        assert (summary.computed, summary.left) == (1, 2)
        assert run_jobs(jobs, tmp_path, Here()).computed == 2


class TestProcesses:
    def test_they_share_the_work_and_one_that_dies_is_replaced(self, tmp_path: Path) -> None:
        diary = tmp_path / "diary"
        jobs = [
            *squares(4, diary, steps=10, step_s=0.02),
            Job("falls once", {"deadly": 1}, Deadly(tmp_path / "once", 1)),
            Job("always falls", {"deadly": 2}, Deadly(tmp_path / "always", 99)),
            Job("bad clip", {"bad": 1}, Refused()),
        ]
        summary = run_jobs(jobs, tmp_path, Processes(2))
        assert values(summary) == [0.0, 1.0, 4.0, 9.0, 0.0]
        assert summary.failed["always falls"] == "its process was ended by SIGKILL (out of memory?)"
        assert "cannot be hidden" in summary.failed["bad clip"]
        assert lines(tmp_path / "always") == ["tried"] * 3
        assert len({number for i in range(4) for number in processes(diary, f"done {i}")}) > 1
        assert not multiprocessing.active_children()

    def test_none_is_refused(self) -> None:
        with pytest.raises(SettingError, match="0 processes compute nothing"):
            Processes(0)


class TestSharedFolder:
    @pytest.mark.parametrize("workers", [0, 2], ids=["in this process", "in processes of its own"])
    def test_killed_in_the_middle_it_goes_on(self, tmp_path: Path, workers: int) -> None:
        """Nothing tidies up after signal 9: what was in hand is lost, nothing else, and workers do not live on."""
        diary = tmp_path / "diary"
        program = start(tmp_path, workers)
        until(lambda: any(line.startswith("done") for line in lines(diary)) and "begun 3" in lines(diary))
        program.kill()
        program.wait()
        done = len(list((tmp_path / "jobs").glob("*.parquet")))
        assert 1 <= done <= 5
        assert list((tmp_path / "jobs").glob("*.claim")), "what it had in hand"
        until(lambda: not any(process_lives(one) for i in range(6) for one in processes(diary, f"begun {i}")))
        summary = run_jobs(squares(6, diary), tmp_path, Here())
        assert (summary.computed, values(summary)) == (6 - done, [float(i * i) for i in range(6)])
        assert sorted({path.suffix for path in (tmp_path / "jobs").iterdir()}) == [".parquet"]

    def test_two_at_once_share_the_work(self, tmp_path: Path) -> None:
        programs = [start(tmp_path, 0), start(tmp_path, 0)]
        assert [program.wait() for program in programs] == [0, 0]
        diary = tmp_path / "diary"
        assert sorted(lines(diary)) == sorted(f"{word} {i}" for i in range(6) for word in ("begun", "done"))
        assert {one for i in range(6) for one in processes(diary, f"done {i}")} == {one.pid for one in programs}
        assert values(run_jobs(squares(6, diary), tmp_path, Here())) == [float(i * i) for i in range(6)]

    def test_a_failure_of_the_other_is_not_tried_again_at_once(self, tmp_path: Path) -> None:
        job = Job("bad clip", {"bad": 1}, Refused())
        run_jobs([job], tmp_path, Here())

        def other(_: JobProgress) -> None:
            """Fails the same job between this run's look at the folder and its turn."""
            run_jobs([job], tmp_path, Here())

        diary = tmp_path / "diary"
        mended = Job(job.label, job.identity, squares(1, diary)[0].work)
        summary = run_jobs([mended], tmp_path, Here(), progress=other)
        assert list(summary.failed) == ["bad clip"]
        assert lines(diary) == []


class TestClaims:
    def test_one_has_it(self, tmp_path: Path) -> None:
        with Claims(tmp_path) as ours, Claims(tmp_path) as theirs:
            assert ours.take("a")
            assert not theirs.take("a")
            assert not ours.take("a")
            ours.release("a")
            assert theirs.take("a")
        assert not list(tmp_path.iterdir())

    def test_of_a_process_that_is_gone_it_is_taken_at_once(self, tmp_path: Path) -> None:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        with Claims(tmp_path) as ours:
            assert ours.take("a")
            said = json.loads((tmp_path / "a.claim").read_text())
            (tmp_path / "a.claim").write_text(json.dumps({**said, "pid": gone.pid, "token": "theirs"}))
            with Claims(tmp_path) as others:
                assert others.take("a")
            assert not (tmp_path / "a.claim").exists()

    @pytest.mark.parametrize("content", ["", '{"host": "another machine", "pid": 1, "token": "x"}'])
    def test_of_another_machine_it_is_taken_when_it_stands_still(self, tmp_path: Path, content: str) -> None:
        claim = tmp_path / "a.claim"
        claim.write_text(content)
        os.utime(claim, (1, 1))  # clocks of two machines need not agree
        with Claims(tmp_path, stale_s=0.3) as ours:
            assert not ours.take("a")
            time.sleep(0.2)
            os.utime(claim, (2, 2))
            assert not ours.take("a")
            time.sleep(0.2)
            assert not ours.take("a"), "it was renewed 0.2 s ago"
            time.sleep(0.2)
            assert ours.take("a")

    def test_a_live_one_is_renewed(self, tmp_path: Path) -> None:
        with Claims(tmp_path, beat_s=0.05) as ours:
            assert ours.take("a")
            os.utime(tmp_path / "a.claim", (1, 1))
            until(lambda: (tmp_path / "a.claim").stat().st_mtime > 1)

    def test_one_that_was_taken_over_is_left_to_its_owner(self, tmp_path: Path) -> None:
        with Claims(tmp_path) as ours:
            assert ours.take("a")
            (tmp_path / "a.claim").write_text('{"host": "another machine", "token": "theirs"}')
            ours.release("a")
        assert (tmp_path / "a.claim").exists()


RAY_MISSING = importlib.util.find_spec("ray") is None


@pytest.mark.slow
@pytest.mark.skipif(RAY_MISSING, reason="Ray is not installed: pip install 'maskscope[ray]'")
def test_a_worker_of_a_cluster_is_killed_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_agent_register_timeout_ms", "120000")  # a busy machine starts slowly
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    diary = tmp_path / "diary"
    killed: list[int] = []

    def kill() -> bool:
        """A worker that is on a job, once; never stops the grid."""
        busy = [i for i in range(6) if lines(diary).count(f"begun {i}") > lines(diary).count(f"done {i}")]
        if busy and not killed:
            killed.append(processes(diary, f"begun {busy[0]}")[-1])
            os.kill(killed[0], 9)
        return False

    jobs = [*squares(6, diary, steps=20, step_s=0.05), Job("bad clip", {"bad": 1}, Refused())]
    summary = run_jobs(jobs, tmp_path, RayCluster("local", workers=2), stop=kill)
    assert killed
    assert values(summary) == [float(i * i) for i in range(6)]
    assert list(summary.failed) == ["bad clip"]
    assert sum(line.startswith("begun") for line in lines(diary)) == 7, "one was begun twice"


def test_a_missing_ray_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> object:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("maskscope.extras.import_module", without)
    with pytest.raises(SettingError, match=r"need ray, which is not installed; pip install 'maskscope\[ray\]'"):
        RayCluster("local")
