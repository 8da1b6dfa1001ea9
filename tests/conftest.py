"""Shared fixtures. What needs the reference data beside the project is skipped, with the reason, without it."""

from __future__ import annotations

import os
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
