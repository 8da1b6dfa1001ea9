"""Jobs in several processes of this machine, each with its share of the cores, and replaced when it dies."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final, Self

from maskscope.errors import SettingError
from maskscope.studies.jobs import Job, Outcome, Tick, attempt

_START: Final = "spawn"  # a fork of a process with threads, such as PyTorch's, may hang
_PATIENCE_S: Final = 2.0


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Job | None = None


class Processes:
    """Computes jobs in `count` processes, started when needed and kept for more.

    A process that dies takes only its own job with it. If this process dies, the others end by themselves at their
    next frame.

    Args:
        count: how many, one or more.
        threads: of each, for arithmetic; None shares the cores out.

    Raises:
        SettingError: fewer than one.
    """

    def __init__(self, count: int, threads: int | None = None) -> None:
        if count < 1:
            raise SettingError(f"{count} processes compute nothing", "give 1 or more")
        self.count = count
        self.threads = threads or max(1, processors() // count)
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if worker.job is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def has_room(self) -> bool:
        """Whether a process is free, or can be started."""
        return len(self._workers) < self.count or any(worker.job is None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Give the job to a free process."""
        worker = next((each for each in self._workers if each.job is None), None) or self._start()
        worker.job = job
        with contextlib.suppress(OSError):  # it has died while it was idle; `wait` finds it
            worker.pipe.send(job)

    def wait(self, timeout_s: float, tick: Tick) -> list[Outcome]:
        """Outcomes that have come, and jobs whose process has died."""
        busy = [worker for worker in self._workers if worker.job is not None]
        ready = wait([worker.pipe for worker in busy], timeout_s)
        return [self._receive(worker) for worker in busy if worker.pipe in ready]

    def _start(self) -> _Worker:
        context = multiprocessing.get_context(_START)
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.threads, os.getpid()), daemon=True)
        process.start()
        theirs.close()  # so that the end of the process ends the pipe
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _receive(self, worker: _Worker) -> Outcome:
        job = worker.job
        assert job is not None
        try:
            content, error, trace = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(_PATIENCE_S)
            self._workers.remove(worker)
            worker.pipe.close()
            return Outcome(job, error=_obituary(worker.process.exitcode), died=True)
        worker.job = None
        return Outcome(job, content, error, trace)


def _obituary(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in {one.value for one in signal.Signals} else f"signal {-code}"
        return f"its process was ended by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"its process ended with code {code}"


def _serve(pipe: Connection, threads: int, parent: int) -> None:
    """The life of a process: jobs in, outcomes out, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    limit_threads(threads)

    def tick() -> None:
        if os.getppid() != parent:
            os._exit(1)  # nobody is left to take the result

    while True:
        try:
            job: Job = pipe.recv()
            outcome = attempt(job, tick)
            pipe.send((outcome.content, outcome.error, outcome.trace))
        except (EOFError, OSError):
            return


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(count: int) -> None:
    """Of this process, in the libraries that compute, whether or not they are loaded yet; loads none."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(count)
