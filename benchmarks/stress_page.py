"""Fill the tables, figure and findings of docs/stress.md from the records of a stress study.

    maskscope stress DIR --material DIR --out benchmarks/results/stress --figure
    python benchmarks/stress_page.py --records benchmarks/results/stress --write docs/stress.md

Nothing is computed but means and intervals: the records are all that is read. Of a study's folder `records.parquet`,
`summary.json`, `summary.csv` and `stress.json` are worth keeping; `jobs/` holds the same rows once more.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from maskscope.errors import MaskscopeError
from maskscope.report.stress_page import write_stress_page

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records", type=Path, default=ROOT / "benchmarks/results/stress", metavar="DIR", help="a study's folder"
    )
    parser.add_argument("--write", type=Path, default=ROOT / "docs/stress.md", metavar="FILE", help="page with marks")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="PNG or SVG (images/stress.png beside the page)")
    given = parser.parse_args()
    try:
        page = write_stress_page(given.records, given.write, given.figure or given.write.parent / "images/stress.png")
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")
    print(f"wrote {page}")


if __name__ == "__main__":
    main()
