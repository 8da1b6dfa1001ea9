"""What one setting of a memory policy changes: the policy with and without it, paired clip by clip.

    maskscope stress DAVIS --out DIR --policies composite,composite:drift=on [--families ...] [--severities ...]
    python benchmarks/policy_setting.py DIR... --of composite:drift=on --against composite [--json FILE]

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
from maskscope.errors import MaskscopeError, RecordError
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


def model_of(files: Sequence[Path], cells: Sequence[Cell]) -> dict[str, str]:
    """Name, weights and precision, the same in all records.

    Raises:
        RecordError: they are of more than one model.
    """
    found = {(each.get("model"), each.get("precision")) for each in (read_facts(f).get("identity", {}) for f in files)}
    if len(found) != 1:
        raise RecordError(f"the results are of {len(found)} models or precisions", "give results of one")
    ((sha256, precision),) = found
    return {"name": cells[0].tracker, "sha256": str(sha256), "precision": str(precision)}


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", metavar="DIR", help="of `maskscope stress`")
    parser.add_argument("--of", required=True, metavar="POLICY:key=value", help="with the setting")
    parser.add_argument("--against", required=True, metavar="POLICY", help="without it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a record")
    given = parser.parse_args(arguments)
    try:
        files = sorted(file for folder in given.results for file in folder.glob("jobs/*.parquet"))
        cells = read_cells(files)
        rows = rows_of(cells, given.of, given.against)
        if not rows:
            where = ", ".join(map(str, given.results))
            parser.error(f"{where} has no condition with both {given.of} and {given.against}")
        record = {
            "benchmark": "policy setting", "command": command_line(), "of": given.of, "against": given.against,
            "model": model_of(files, cells), "rows": rows,
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
