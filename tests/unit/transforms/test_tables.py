"""The tables that the documentation shows are those of the families."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tiny_families import TINT, use_tiny_families

from maskscope.errors import DatasetError
from maskscope.transforms import registry
from maskscope.transforms.registry import families
from maskscope.transforms.tables import all_tables, family_table, updated

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"

TINTS = """\
- masks: leaves masks as they are
- realised strength: levels: added to every channel

| severity | 1 | 2 | 3 | 4 | 5 |
|---|---|---|---|---|---|
| `levels` | 10 | 20 | 30 | 40 | 50 |
| `side_px` | 1, 2 | 2, 4 | 3, 6 | 4, 8 | 5, 10 |"""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_families(monkeypatch)


def test_a_table_says_units_and_numbers() -> None:
    assert family_table(TINT) == TINTS


def test_gaps_floats_and_variants() -> None:
    odd = replace(TINT, table={1: {"a": 0.1 + 0.2}, 3: {"b": "x|y"}})
    object.__setattr__(odd, "variants", ("pass", "rest", "pass-1", "pass-2", "two-sided"))
    lines = family_table(odd).splitlines()
    assert lines[2] == "- variants: `pass` (also with `-1`, `-2`); `rest`, `two-sided`"
    assert lines[-2:] == ["| `a` | 0.3 | - |", "| `b` | - | x\\|y |"]


def test_a_page_is_renewed_between_its_marks(tiny: None) -> None:
    page = "# T\n\n<!-- table: tint -->\nold\n<!-- end -->\n\nprose\n\n<!-- table: cut -->\n<!-- end -->\nend\n"
    renewed = updated(page)
    assert f"<!-- table: tint -->\n{TINTS}\n<!-- end -->\n\nprose\n\n<!-- table: cut -->\n- masks: removes" in renewed
    assert "old" not in renewed
    assert renewed.endswith("<!-- end -->\nend\n")
    assert updated(renewed) == renewed
    assert all_tables().startswith(f"## tint\n\n<!-- table: tint -->\n{TINTS}\n<!-- end -->\n\n## cut\n")


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("<!-- table: snow -->\n<!-- end -->", "a table of 'snow', which is no family; known: tint, cut"),
        ("<!-- table: tint -->\n", "no <!-- end --> behind it"),
    ],
)
def test_broken_marks(tiny: None, page: str, says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        updated(page)


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_every_family_has_a_page_with_its_table_and_sheet(name: str) -> None:
    page = (DOCS / "transforms" / f"{name}.md").read_text(encoding="utf-8")
    assert updated(page) == page, "run: python -m maskscope.transforms --update docs/transforms/*.md"
    assert f"<!-- table: {name} -->\n{family_table(families()[name])}\n<!-- end -->" in page
    variants = getattr(registry.family(name), "variants", ())
    for variant in variants:
        if variant.partition("-")[0] == variant:
            assert f"--family {name}/{variant}" in page, "the command of the sheet names every kind"
            assert f"`{variant}`" in page
    assert f"](../images/transform-{name}.jpg)" in page
    assert f"](transforms/{name}.md)" in (DOCS / "transforms.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_a_sheet_is_small_and_a_column_for_each_severity_wide(name: str) -> None:
    path = DOCS / "images" / f"transform-{name}.jpg"
    assert path.stat().st_size < 200_000
    with Image.open(path) as sheet:
        cell = (sheet.width / 6, sheet.width / 6 * 480 / 854)
        kinds = [one for one in getattr(registry.family(name), "variants", ()) if one.partition("-")[0] == one]
        assert sheet.height == pytest.approx(len(kinds) * cell[1], rel=0.05)


def test_the_command(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- table: speed -->\n<!-- end -->\n")
    command = [sys.executable, "-m", "maskscope.transforms", "--update"]
    other = tmp_path / "other.md"
    other.write_text("<!-- table: viewpoint -->\n<!-- end -->\n")
    assert subprocess.run([*command, str(page), str(other)], check=False).returncode == 0
    assert family_table(registry.family("speed")) in page.read_text()
    assert family_table(registry.family("viewpoint")) in other.read_text()
    failed = subprocess.run([*command, str(tmp_path / "none.md")], check=False, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: cannot ")
    assert len(failed.stderr.splitlines()) == 1
