"""A benchmark as its command runs it, in this process."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest


def run(monkeypatch: pytest.MonkeyPatch, benchmark: ModuleType, *words: str) -> None:
    """Run its `main` with these words on the command line."""
    monkeypatch.setattr(sys, "argv", [f"{benchmark.__name__}.py", *words])
    benchmark.main()


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], benchmark: ModuleType, *words: str
) -> str:
    """The one line with which it ends, at exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, benchmark, *words)
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    return line
