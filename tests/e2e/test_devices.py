"""Studies refuse a device that is not there before they begin, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from maskscope.cli.main import app


@pytest.mark.parametrize(
    "words",
    [
        ("stress", "drawn:1", "--families", "speed"),
        ("prompts", "drawn:1"),
        ("diagnose", "--dataset", "drawn:1"),
    ],
)
def test_an_unknown_device(words: tuple[str, ...], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--device", "toaster"])
    assert result.exit_code == 2, result.output
    assert "'toaster' is not available" in result.output
    assert "Traceback" not in result.output
