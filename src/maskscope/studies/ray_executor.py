"""Jobs on a Ray cluster, whose machines need this package, the data set and the weights; results come back here."""

from __future__ import annotations

import logging
import re
from typing import Any, Final, Self

from maskscope import __version__
from maskscope.errors import SettingError
from maskscope.extras import load_extra
from maskscope.studies.jobs import Job, Outcome, Tick, attempt, one_line

log = logging.getLogger(__name__)

LOCAL: Final = "local"
RETRIES: Final = 3  # by Ray itself, when a worker or its machine dies
STARTS: Final = 3  # of a local cluster, which gives up by itself after 30 s, too short for a busy machine
_COLOURS: Final = re.compile("\x1b\\[[0-9;]*m")


class RayCluster:
    """Computes jobs on a cluster, one a core, or one a GPU where there are some.

    Jobs whose worker dies are begun again by Ray elsewhere. Only this process writes results.

    Args:
        address: of the cluster, such as "auto" or "ray://host:10001"; "local" starts one on this machine.
        workers: of a local one; None is one a core.
        gpu: jobs use one where the cluster has some.

    Raises:
        SettingError: Ray is not installed.
    """

    def __init__(self, address: str, workers: int | None = None, gpu: bool = True) -> None:
        self._ray = load_extra("ray", "ray", "clusters")
        self.address, self.workers, self.gpu = address, workers, gpu
        self._pending: dict[Any, Job] = {}
        self._slots = 0
        self._compute: Any = None

    def __enter__(self) -> Self:
        resources = self._connect()
        gpus = int(resources.get("GPU", 0)) if self.gpu else 0
        self._slots = gpus or max(1, int(resources.get("CPU", 1)))
        needs = {"num_cpus": 1, "num_gpus": 1 if gpus else 0, "max_retries": RETRIES}
        self._compute = self._ray.remote(**needs)(_compute)
        return self

    def _connect(self) -> dict[str, float]:
        """What the cluster has."""
        here: dict[str, Any] = {"num_cpus": self.workers, "include_dashboard": False}
        where = here if self.address == LOCAL else {"address": self.address}
        for left in reversed(range(STARTS if self.address == LOCAL else 1)):
            try:
                self._ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
                resources: dict[str, float] = self._ray.cluster_resources()
                return resources
            except Exception as error:  # of many kinds
                self._ray.shutdown()
                if not left:
                    raise SettingError(
                        f"there is no Ray cluster at {self.address} ({one_line(str(error))[:200]})",
                        "check the address, or give --ray local",
                    ) from error
                log.info("Ray has not started (%s), trying again", one_line(str(error))[:200])
        raise AssertionError

    def __exit__(self, *_: object) -> None:
        for reference in self._pending:
            self._ray.cancel(reference, force=True)
        self._pending.clear()
        self._ray.shutdown()

    def has_room(self) -> bool:
        """Whether a core or GPU is free for another job."""
        return len(self._pending) < self._slots

    def submit(self, job: Job) -> None:
        """Hand the job to the cluster."""
        self._pending[self._compute.remote(job, __version__)] = job

    def wait(self, timeout_s: float, tick: Tick) -> list[Outcome]:
        """Outcomes that have come, and jobs whose workers have died more often than Ray tries."""
        ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=timeout_s)
        found: list[Outcome] = []
        for reference in ready:
            job = self._pending.pop(reference)
            try:
                found.append(Outcome(job, *self._ray.get(reference)))
            except self._ray.exceptions.RayError as error:
                # A job's own errors come as results: this is one of Ray's, or the job could not be read over there.
                died = not isinstance(error, self._ray.exceptions.RayTaskError)
                found.append(Outcome(job, error=one_line(_COLOURS.sub("", str(error)))[:300], died=died))
        return found


def _compute(job: Job, version: str) -> tuple[bytes | None, str, str]:
    """Runs on the cluster."""
    if version != __version__:
        return None, f"the cluster has maskscope {__version__}, this process {version}; install the same", ""
    outcome = attempt(job, lambda: None)
    return outcome.content, outcome.error, outcome.trace
