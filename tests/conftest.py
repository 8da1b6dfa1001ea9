"""Shared fixtures. What needs the reference data beside the project is skipped, with the reason, without it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared_folder() -> Path | None:
    """The folder with goldens and test sequences: `$MASKSCOPE_SHARED`, else `../shared` beside the project."""
    folder = Path(os.environ.get("MASKSCOPE_SHARED", ROOT.parent / "shared"))
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """Path of the reference data; skips the test where there is none."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs the reference data (goldens, DAVIS sequences): set MASKSCOPE_SHARED to its folder")
    return folder


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    """No test leaves another number of threads behind: it decides speed, and the last bits of results."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    yield
    if torch and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
