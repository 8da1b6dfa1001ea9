"""Several processes that train one model: each its own clips, one averaged gradient.

On CPU one single-threaded process per core is faster than one process with many threads: the model's operators are
small, and threads that share each of them wait for each other at every one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from maskscope.errors import MaskscopeError

_LONGEST: Final = 1000  # bytes of an error that others are told


class TeamError(MaskscopeError, RuntimeError):
    """Another process of the team is gone, so that this one waited for it in vain."""


@dataclass(frozen=True)
class Team:
    """This process among its equals; a team of one needs no process group."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and validates."""
        return self.rank == 0

    def meet(self, device: torch.device) -> None:
        """Wait until every process of the team is here."""
        if self.size > 1:
            _add_up(torch.zeros(1, device=device))

    @contextmanager
    def together(self, device: torch.device) -> Iterator[None]:
        """Every process gets through what is done here, or none does; it must not wait for the others within.

        Raises:
            MaskscopeError: the process's own, or else the one of the first process that has one.
            TeamError: another process is gone.
        """
        failure: MaskscopeError | None = None
        try:
            yield
        except MaskscopeError as error:
            failure = error
        reasons = self._told(str(failure or ""), device) if self.size > 1 else []
        if failure is not None:
            raise failure
        if reason := next(filter(None, reasons), ""):
            raise MaskscopeError(reason)

    def _told(self, text: str, device: torch.device) -> list[str]:
        """What each process has to say; as tensors of one size, which all backends can send."""
        content = text.encode()[:_LONGEST]
        mine = torch.zeros(_LONGEST, dtype=torch.uint8)
        mine[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        table = torch.zeros(self.size, _LONGEST, device=device)
        table[self.rank] = mine.to(device)
        _add_up(table)
        return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in table.to("cpu", torch.uint8).numpy()]

    def agreed(self, wish: bool, device: torch.device) -> bool:
        """Whether every process of the team wishes it."""
        if self.size == 1:
            return wish
        wishes = torch.tensor(float(wish), device=device)
        _add_up(wishes)
        return bool(wishes >= self.size)

    def average(self, parameters: Iterable[nn.Parameter], numbers: Tensor) -> Tensor:
        """Average gradients in place over the team, and a few numbers with them.

        Args:
            parameters: a missing gradient becomes zero, so that a team and a lone process take the same steps.
            numbers: (n,) float32, such as losses and the clock.

        Returns:
            The team's mean of `numbers`.
        """
        learned = [p for p in parameters if p.requires_grad]
        for parameter in learned:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.size == 1:
            return numbers
        gradients = [p.grad for p in learned if p.grad is not None]
        flat = torch.cat([numbers.to(gradients[0].device), *(g.flatten() for g in gradients)])
        _add_up(flat)
        flat /= self.size
        start = len(numbers)
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
        return flat[: len(numbers)].to(numbers.device)


def _add_up(values: Tensor) -> None:
    """Sum over the team, in place."""
    try:
        dist.all_reduce(values)
    except RuntimeError as error:
        raise TeamError("another process of the team has ended", "what it said tells why") from error


def team_of_environment() -> Team:
    """This process's place as `torchrun` states it in RANK and WORLD_SIZE; alone where it does not."""
    size = int(os.environ.get("WORLD_SIZE", 1))
    return Team(int(os.environ.get("RANK", 0)), size) if size > 1 else Team()


@contextmanager
def joined(team: Team, device: torch.device) -> Iterator[Team]:
    """Meet the others of the team at MASTER_ADDR and MASTER_PORT; nothing to do for a lone process."""
    if team.size == 1:
        yield team
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=team.rank, world_size=team.size)
    try:
        yield team
    finally:
        dist.destroy_process_group()
