"""Grids of jobs: each computed once, whoever computes it, and none lost but the one in hand.

A job's identity is everything that decides its rows; its hash names the one file the rows are in. So a grid that was
interrupted goes on where it stopped, a larger grid computes only what is new, and several processes, also of several
machines, share a folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol, Self

from maskscope.errors import MaskscopeError, OutputError, RecordError
from maskscope.records import Record, encode_records, read_facts, write_whole
from maskscope.studies.job_claims import Claims

log = logging.getLogger(__name__)

MAX_DEATHS: Final = 3  # of processes, until a job is held to be the cause
_POLL_S: Final = 1.0
_FORMAT: Final = "maskscope.job/1"

Tick = Callable[[], None]
"""Called by a job now and then, once a frame or so; what it raises ends the job."""


class Work(Protocol):
    """What a job does; pickled where it is done in another process."""

    def __call__(self, run: str, tick: Tick, /) -> Iterable[Record]:
        """The rows; `run` is for their column of that name."""
        ...


@dataclass(frozen=True)
class Job:
    """One file of a grid.

    Attributes:
        label: what people call it.
        identity: JSON values: all that decides the rows, with the version of the code that makes them.
        work: makes the rows.
        size: share of the progress bar, such as its frames.
    """

    label: str
    identity: Mapping[str, Any]
    work: Work
    size: int = 1

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the identity in hexadecimal, the same in every process."""
        text = json.dumps({"format": _FORMAT, **self.identity}, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: which.
        content: of its file; None where there is none.
        error: why, in one line.
        trace: where in the code; empty for mistakes of the user.
        died: its process ended, so that it may be tried again.
    """

    job: Job
    content: bytes | None = None
    error: str = ""
    trace: str = ""
    died: bool = False


class Stopped(Exception):
    """Raised by a tick to end a job."""


class Executor(Protocol):
    """Where jobs are computed."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None:
        """End what is still being computed."""
        ...

    def has_room(self) -> bool:
        """Whether another job can be begun at once."""
        ...

    def submit(self, job: Job) -> None:
        """Begin a job."""
        ...

    def wait(self, timeout_s: float, tick: Tick) -> list[Outcome]:
        """Jobs that have ended; waits for one, but not longer than the timeout where others do the work."""
        ...


def attempt(job: Job, tick: Tick) -> Outcome:
    """Compute a job here.

    Raises:
        Stopped: by the tick.
    """
    began = time.perf_counter()
    try:
        records = list(job.work(job.digest, tick))
        facts = {
            "digest": job.digest,
            "label": job.label,
            "identity": dict(job.identity),
            "seconds": round(time.perf_counter() - began, 3),
        }
        return Outcome(job, encode_records(records, facts))
    except Stopped:
        raise
    except MaskscopeError as error:
        return Outcome(job, error=one_line(str(error)))
    except Exception as error:  # one job's fault, or ours: the others have nothing to do with it
        return Outcome(job, error=one_line(f"{type(error).__name__}: {error}"), trace=traceback.format_exc())


def one_line(text: str) -> str:
    """Without breaks."""
    return " ".join(text.split())


@dataclass
class Here:
    """Computes jobs one after the other in this process."""

    _next: Job | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._next = None

    def has_room(self) -> bool:
        """Whether no job is in hand."""
        return self._next is None

    def submit(self, job: Job) -> None:
        """Take a job in hand."""
        self._next = job

    def wait(self, timeout_s: float, tick: Tick) -> list[Outcome]:
        """Compute the job in hand."""
        job, self._next = self._next, None
        return [] if job is None else [attempt(job, tick)]


class JobFolder:
    """Files of results by the hash of their job.

    Args:
        path: the folder; made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._damaged: set[str] = set()
        self._failed_before = {file.name: file.stat().st_mtime_ns for file in path.glob("*.failed.json")}

    def result(self, job: Job) -> Path:
        """Where its rows are, once there are any."""
        return self.path / f"{job.digest}.parquet"

    def failure(self, job: Job) -> Path:
        """Where it is said why there are none."""
        return self.path / f"{job.digest}.failed.json"

    def is_finished(self, job: Job) -> bool:
        """Whether its file is there and whole; a damaged one does not count."""
        path = self.result(job)
        if not path.exists():
            return False
        try:
            return bool(read_facts(path).get("digest") == job.digest)
        except RecordError as error:
            if job.digest not in self._damaged:
                log.warning("%s is computed again: %s", job.label, error.problem)
            self._damaged.add(job.digest)
            return False

    def failed_meanwhile(self, job: Job) -> str | None:
        """Why another process could not compute it since this object was made; None where none has tried and failed."""
        path = self.failure(job)
        try:
            if path.stat().st_mtime_ns == self._failed_before.get(path.name):
                return None
            return str(json.loads(path.read_text(encoding="utf-8"))["error"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def store(self, outcome: Outcome) -> None:
        """Write the rows, or why there are none.

        Raises:
            OutputError: it cannot be written.
        """
        job = outcome.job
        if outcome.content is None:
            said = {"label": job.label, "error": outcome.error, "trace": outcome.trace, "identity": dict(job.identity)}
            write_whole(self.failure(job), json.dumps(said, indent=2, ensure_ascii=False).encode())
            return
        try:
            write_whole(self.result(job), outcome.content)
        except OutputError:
            if not self.is_finished(job):  # by another process, which took this file for a left-over
                raise
        self.failure(job).unlink(missing_ok=True)

    def tidy(self, job: Job) -> None:
        """Remove what killed processes have left half written of it."""
        for path in self.path.glob(f".{job.digest}.*"):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class JobProgress:
    """How far a grid is, for a progress bar: sizes of finished jobs, of all."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class JobsSummary:
    """What became of a grid.

    Attributes:
        files: of the finished jobs, in the order of the jobs.
        computed: how many of them this run has computed.
        failed: label -> error of the jobs that could not be computed.
        left: how many are not done, because it was stopped.
    """

    files: tuple[Path, ...]
    computed: int
    failed: Mapping[str, str]
    left: int


def run_jobs(
    jobs: Sequence[Job],
    out: Path | str,
    executor: Executor,
    *,
    stage: str = "computing",
    progress: Callable[[JobProgress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    claims: Claims | None = None,
) -> JobsSummary:
    """Compute the jobs that have no result yet; see the module for what that is worth.

    A job that fails is noted beside the results, and tried again by the next run.

    Args:
        jobs: of one identity only the first counts.
        out: results go to its folder `jobs`.
        executor: where to compute; entered and left here.
        stage: the word in front of the progress bar.
        progress: called as jobs end.
        stop: asked often; True gives up the jobs in hand and returns.
        claims: of the folder, with other times than the usual ones.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = JobFolder(Path(out) / "jobs")
    everything = {job.digest: job for job in jobs}
    grid = _Grid(folder, stage, sum(job.size for job in everything.values()), progress)
    waiting: deque[Job] = deque()
    for job in everything.values():
        if folder.is_finished(job):
            grid.done += job.size
        else:
            waiting.append(job)
    grid.show()

    def tick() -> None:
        if stop():
            raise Stopped

    with claims or Claims(folder.path) as held, executor:
        try:
            in_hand: set[str] = set()
            while waiting or in_hand:
                tick()
                for _ in range(len(waiting)):
                    if not executor.has_room():
                        break
                    job = waiting.popleft()
                    if grid.is_settled(job):
                        continue
                    if not held.take(job.digest):
                        waiting.append(job)  # another process has it; look again later
                    elif grid.is_settled(job):  # between the look and the claim
                        held.release(job.digest)
                    else:
                        folder.tidy(job)
                        in_hand.add(job.digest)
                        executor.submit(job)
                if not in_hand:
                    if waiting:
                        time.sleep(_POLL_S)
                    continue
                for outcome in executor.wait(_POLL_S, tick):
                    if outcome.died and grid.try_again(outcome):
                        executor.submit(outcome.job)
                        continue
                    grid.settle(outcome)
                    in_hand.discard(outcome.job.digest)
                    held.release(outcome.job.digest)
        except Stopped:
            log.info("stopped")
        else:
            for job in everything.values():
                if folder.result(job).exists():
                    held.tidy(job.digest)
                    folder.tidy(job)
    finished = tuple(folder.result(job) for job in everything.values() if folder.is_finished(job))
    left = len(everything) - len(finished) - len(grid.failed)
    return JobsSummary(finished, grid.computed, grid.failed, left)


@dataclass
class _Grid:
    """The books of one call of `run_jobs`."""

    folder: JobFolder
    stage: str
    total: int
    progress: Callable[[JobProgress], None]
    done: int = 0
    computed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)

    def show(self) -> None:
        self.progress(JobProgress(self.stage, self.done, self.total))

    def is_settled(self, job: Job) -> bool:
        """Whether another process has finished it, or failed to, meanwhile; then it is in the books."""
        error = self.folder.failed_meanwhile(job)
        if error is not None:
            self.failed[job.label] = error
        elif not self.folder.is_finished(job):
            return False
        self._pass(job)
        return True

    def try_again(self, outcome: Outcome) -> bool:
        """Whether a job whose process died deserves another one."""
        self.deaths[outcome.job.digest] += 1
        log.warning("%s: %s", outcome.job.label, outcome.error)
        return self.deaths[outcome.job.digest] < MAX_DEATHS

    def settle(self, outcome: Outcome) -> None:
        """Keep what came of a job."""
        self.folder.store(outcome)
        if outcome.content is None:
            log.warning("%s failed: %s", outcome.job.label, outcome.error)
            self.failed[outcome.job.label] = outcome.error
        else:
            self.computed += 1
        self._pass(outcome.job)

    def _pass(self, job: Job) -> None:
        self.done += job.size
        self.show()
