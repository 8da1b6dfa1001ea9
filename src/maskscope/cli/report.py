"""`maskscope report`: the page of a diagnosis, from its records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """
Make the page of a diagnosis again, from its records and pictures; no model is needed.

RECORDS is the folder that a diagnosis wrote, or the records.parquet in it. The page is one HTML file that works \
offline: what holds, what breaks and what to change first, then the evidence. What the records do not hold is left \
out, and the page says so.
"""


def report(
    records: Annotated[Path, typer.Argument(metavar="RECORDS", help="Folder of a diagnosis, or its records.parquet.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page (default: report.html beside the records).")
    ] = None,
) -> None:
    """Make the page of a diagnosis from its records."""
    from maskscope.report.page.page import write_page

    typer.echo(f"look at {write_page(records, out)}")
