"""Fill the answers, tables and figures of docs/findings.md from the records of a diagnosed data set.

    maskscope diagnose --dataset DIR --severity 1,3,5 --max-frames 40 --jobs 2 --out runs/findings
    python benchmarks/findings_page.py --records runs/findings --keep benchmarks/results/findings

Nothing is computed but means and intervals over clips: the records are all that is read, and every sentence follows
from them. With --keep the records (one row for each clip and measure) and summary.json are copied to where they are
committed; without --records those are read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from maskscope.errors import MaskscopeError, RecordError
from maskscope.records import write_whole
from maskscope.report.findings_page import read_findings, write_findings_page

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "benchmarks/results/findings"
MOST_BYTES = 3_000_000


def keep(records: Path, folder: Path) -> None:
    """Copy what is committed.

    Raises:
        RecordError: the records are none of a diagnosed data set, or too large to be committed.
        OutputError: they cannot be written.
    """
    read_findings(records)
    for name in ("records.parquet", "summary.json"):
        content = (records / name).read_bytes()
        if len(content) > MOST_BYTES:
            raise RecordError(
                f"{records / name} has {len(content)} bytes, more than the {MOST_BYTES} that are committed",
                "take fewer severities",
            )
        write_whole(folder / name, content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, default=KEPT, metavar="DIR", help="a diagnosed data set")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy records and summary there")
    parser.add_argument("--write", type=Path, default=ROOT / "docs/findings.md", metavar="FILE", help="page with marks")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="for SVG files (images beside the page)")
    given = parser.parse_args()
    try:
        if given.keep is not None:
            keep(given.records, given.keep)
        page = write_findings_page(given.records, given.write, given.figures or given.write.parent / "images")
    except (MaskscopeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    print(f"wrote {page}")


if __name__ == "__main__":
    main()
