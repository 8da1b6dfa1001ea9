"""A plain install has what every module imports: extras are for what is imported when it is asked for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imported_at_once(tree: ast.Module) -> Iterator[str]:
    """Top-level packages that a module imports when it is imported itself."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_what_modules_import_at_once_is_a_plain_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = {re.split(r"[<>=~\[; ]", one)[0].lower().replace("_", "-") for one in project["dependencies"]}
    provided_by = packages_distributions()
    missing: dict[str, set[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for package in imported_at_once(ast.parse(path.read_text())):
            if package in sys.stdlib_module_names or package == "maskscope":
                continue
            names = {name.lower().replace("_", "-") for name in provided_by.get(package, [package])}
            if not names & plain:
                missing.setdefault(package, set()).add(str(path.relative_to(ROOT)))
    assert not missing
