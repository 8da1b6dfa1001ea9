"""`maskscope policies`: one line for each, and the settings of one."""

from __future__ import annotations

from typer.testing import CliRunner

from maskscope.cli.main import app
from maskscope.memory.policies.registry import BUILT_IN, kind


def test_one_line_for_each_with_its_source() -> None:
    done = CliRunner().invoke(app, ["policies"])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert [line.split()[0] for line in lines[: len(BUILT_IN)]] == list(BUILT_IN)
    for line, name in zip(lines, BUILT_IN, strict=False):
        assert kind(name).source in line


def test_the_settings_of_one() -> None:
    done = CliRunner().invoke(app, ["policies", "gated"])
    assert done.exit_code == 0
    assert "patience=24" in done.output
    assert kind("gated").source in done.output


def test_a_mistake_is_one_line() -> None:
    done = CliRunner().invoke(app, ["policies", "gatd"])
    assert done.exit_code == 2
    assert done.output.strip() == "error: no memory policy is called 'gatd'; did you mean gated?"
