"""Several processes that train one model: each its own clips, one averaged gradient.

On CPU one single-threaded process per core is faster than one process with many threads: the model's operators are
small, and threads that share each of them wait for each other at every one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


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
            dist.all_reduce(torch.zeros(1, device=device))

    def agreed(self, wish: bool, device: torch.device) -> bool:
        """Whether every process of the team wishes it."""
        if self.size == 1:
            return wish
        wishes = torch.tensor(float(wish), device=device)
        dist.all_reduce(wishes, dist.ReduceOp.MIN)
        return bool(wishes > 0)

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
        dist.all_reduce(flat)
        flat /= self.size
        start = len(numbers)
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
        return flat[: len(numbers)].to(numbers.device)


def team_of_environment() -> Team:
    """This process's place as `torchrun` states it in RANK and WORLD_SIZE; alone where it does not."""
    return Team(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


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
