"""Every example runs as it stands and prints what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))
SAYS = {
    "adapt_to_a_scene.py": "after",
    "correct_a_video.py": "IoU",
    "follow_a_stream.py": "visible",
    "listen_to_stages.py": "memory_features",
    "segment_an_image.py": "predicted IoU",
    "write_a_policy.py": "picky:least_iou=0.75",
}


def test_every_example_is_covered() -> None:
    assert {path.name for path in EXAMPLES} == set(SAYS)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_short_and_runs(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert SAYS[path.name] in done.stdout
