"""Two processes: what one meets both end with, and nobody waits for one that is gone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import team_member
from maskscope.training.team import Team, team_of_environment


def test_what_one_process_meets_all_end_with() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    program = [sys.executable, str(Path(team_member.__file__))]
    places = [{**os.environ, **place, "RANK": rank} for rank in ("0", "1")]
    pipe = subprocess.PIPE
    members = [subprocess.Popen(program, env=each, stdout=pipe, stderr=pipe, text=True) for each in places]
    (leader, complaints), (follower, _) = (member.communicate(timeout=120) for member in members)
    assert leader, complaints
    first, last = (json.loads(line) for line in leader.splitlines())
    second = json.loads(follower)
    bad = ["bad data in process 0: zu groß; mend it", "bad data in process 1: zu groß; mend it"]
    assert (first["none"], second["none"]) == ("nothing", "nothing")
    assert (first["leader"], second["leader"]) == (f"DatasetError: {bad[0]}", f"MaskscopeError: {bad[0]}")
    assert (first["follower"], second["follower"]) == (f"MaskscopeError: {bad[1]}", f"DatasetError: {bad[1]}")
    assert (first["both"], second["both"]) == tuple(f"DatasetError: {each}" for each in bad)
    assert first["agreed"] == second["agreed"] == [True, False]
    assert last == "another process of the team has ended; what it said tells why"


def test_a_process_without_others_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "3")
    assert team_of_environment() == Team(0, 1)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert team_of_environment() == Team(3, 4)
