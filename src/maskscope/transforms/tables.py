"""The families' tables as Markdown, for the documentation: written from the families, so that it cannot drift."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from maskscope.errors import DatasetError
from maskscope.transforms.base import SEVERITIES, Family
from maskscope.transforms.registry import families

_WHAT_MASKS_DO = {
    "leaves": "leaves masks as they are",
    "hides": "hides parts of the visible masks; whole outlines stay",
    "moves": "moves masks with the picture",
    "removes frames": "removes, repeats or adds frames, with their masks",
}


def family_table(family: Family) -> str:
    """What a family does to masks, the unit of its strength, its variants, and its parameters by severity."""
    severities = [severity for severity in SEVERITIES if severity in family.table]
    names = list(dict.fromkeys(name for severity in severities for name in family.table[severity]))
    lines = [
        f"- masks: {_WHAT_MASKS_DO.get(family.on_masks, family.on_masks)}",
        f"- realised strength: {family.unit}",
    ]
    # Not part of the contract: a family of another package may have none.
    variants = getattr(family, "variants", ())
    if variants:
        lines.append(f"- variants: {_listed(variants)}")
    lines += [
        "",
        f"| severity | {' | '.join(map(str, severities))} |",
        f"|---|{'---|' * len(severities)}",
    ]
    for name in names:
        cells = (_cell(family.table[severity], name) for severity in severities)
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def all_tables() -> str:
    """Every family there is, each between the marks that `updated` looks for."""
    return "\n\n".join(f"## {name}\n\n{_marked(name, family_table(one))}" for name, one in families().items())


def updated(text: str) -> str:
    """A page with the tables between its marks (`<!-- table: NAME -->` and `<!-- end -->`) made anew.

    Raises:
        DatasetError: a mark names no family, or has no end.
    """
    known = families()

    def replaced(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in known:
            raise DatasetError(f"the page has a table of {name!r}, which is no family", f"known: {', '.join(known)}")
        return _marked(name, family_table(known[name]))

    page, count = re.subn(r"<!-- table: (?P<name>[\w-]+) -->\n.*?<!-- end -->", replaced, text, flags=re.DOTALL)
    if count != text.count("<!-- table: "):
        raise DatasetError("a table's mark has no <!-- end --> behind it", "add it where the table ends")
    return page


def _listed(variants: Sequence[str]) -> str:
    """Variants; of those that are another one with something behind a hyphen, what stands there."""
    ends: dict[str, list[str]] = {}
    for variant in variants:
        start, hyphen, end = variant.partition("-")
        if hyphen and start in variants:
            ends.setdefault(start, []).append(end)
        else:
            ends.setdefault(variant, [])
    groups: dict[tuple[str, ...], list[str]] = {}
    for start, behind in ends.items():
        groups.setdefault(tuple(behind), []).append(f"`{start}`")
    return "; ".join(
        ", ".join(starts) + (f" (also with {', '.join(f'`-{end}`' for end in behind)})" if behind else "")
        for behind, starts in groups.items()
    )


def _marked(name: str, table: str) -> str:
    return f"<!-- table: {name} -->\n{table}\n<!-- end -->"


def _cell(row: Mapping[str, Any], name: str) -> str:
    """One parameter at one severity."""
    if name not in row:
        return "-"
    value = row[name]
    if isinstance(value, tuple | list):
        return ", ".join(_number(one) for one in value)
    return _number(value)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|")
