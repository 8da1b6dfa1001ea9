"""What one setting of a memory policy changes: the policy with and without it, paired clip by clip.

    maskscope stress DAVIS --out DIR --policies composite,composite:drift=off [--families ...] [--severities ...]
    python benchmarks/policy_setting.py DIR... --of composite --against composite:drift=off [--json FILE]

Reads the records of stress studies alone. Differences are in points of J&F on the same objects of the same clips under
the same transformation, intervals of 95 % over clips. `--write` puts the table between the marks
`<!-- table: SETTING -->` and `<!-- end -->` of a page, SETTING being what follows the colon of `--against`, without
its value.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from _table import command_line
from maskscope.data.output import writing
from maskscope.errors import MaskscopeError
from maskscope.records import read_facts
from maskscope.report.policy_records import setting_text
from maskscope.report.policy_rows import CONTROL, Cell, compare_policies, read_cells
from maskscope.report.stress_table import family_rank

_UNCHANGED = 0.0005  # of J&F: below it a clip counts as the same


def rows_of(cells: Sequence[Cell], of: str, against: str) -> list[dict[str, object]]:
    """A row for each family and severity that has both: clips, how many changed, mean scores and the gain."""
    named = {of: of, against: CONTROL}
    pair = [replace(cell, policy=named[cell.policy]) for cell in cells if cell.policy in named]
    scores = {
        (cell.family, cell.severity, cell.clip, cell.object, cell.policy): cell.values["j_and_f"]
        for cell in pair
        if "j_and_f" in cell.values
    }
    found: list[dict[str, object]] = []
    for row in compare_policies(pair):
        if row.policy != of or row.gain is None:
            continue
        changed = {
            clip
            for (family, severity, clip, number, policy), score in scores.items()
            if (family, str(severity), policy) == (row.family, row.band, of)
            and abs(score - scores.get((family, severity, clip, number, CONTROL), score)) > _UNCHANGED
        }
        gain = row.gain
        found.append({
            "family": row.family, "severity": row.band, "clips": row.clips, "changed": sorted(changed),
            "with": gain.value, "without": gain.control, "gain": gain.gain, "low": gain.low, "high": gain.high,
        })  # fmt: skip
    return sorted(found, key=lambda row: (row["family"] != "", family_rank(str(row["family"])), str(row["severity"])))


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", metavar="DIR", help="of `maskscope stress`")
    parser.add_argument("--of", required=True, metavar="POLICY", help="with the setting")
    parser.add_argument("--against", required=True, metavar="POLICY:key=value", help="without it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a record")
    given = parser.parse_args(arguments)
    try:
        files = sorted(file for folder in given.results for file in folder.rglob("*.parquet"))
        rows = rows_of(read_cells(files), given.of, given.against)
        if not rows:
            parser.error(
                f"{', '.join(map(str, given.results))} has no condition with both {given.of} and {given.against}"
            )
        model = read_facts(files[0]).get("request", {}).get("model", {})
        record = {
            "benchmark": "policy setting", "command": command_line(), "of": given.of, "against": given.against,
            "model": {name: model.get(name) for name in ("name", "sha256", "precision")}, "rows": rows,
        }  # fmt: skip
        print(setting_text(record))
        if given.json:
            with writing(given.json):
                given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
