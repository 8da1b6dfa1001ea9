"""One process of a team of two, as a program: prints what it meets, one JSON line; the second ends without a word."""

from __future__ import annotations

import json
import os

import torch

from maskscope.errors import DatasetError, MaskscopeError
from maskscope.training.team import Team, TeamError, joined, team_of_environment

CPU = torch.device("cpu")


def met(team: Team, *failing: int) -> str:
    """What this process meets where `failing` ones have bad data."""
    try:
        with team.together(CPU):
            if team.rank in failing:
                raise DatasetError(f"bad data in process {team.rank}: zu groß", "mend it")
    except MaskscopeError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


if __name__ == "__main__":
    torch.set_num_threads(1)
    team = team_of_environment()
    with joined(team, CPU):
        told = {
            "none": met(team),
            "leader": met(team, 0),
            "follower": met(team, 1),
            "both": met(team, 0, 1),
            "agreed": [team.agreed(wish, CPU) for wish in (True, team.leads)],
        }
        print(json.dumps(told), flush=True)
        if not team.leads:
            os._exit(0)
        try:
            team.meet(CPU)
        except TeamError as error:
            print(json.dumps(str(error)), flush=True)
