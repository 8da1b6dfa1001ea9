"""`maskscope report`: the page of a diagnosis, from its records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP = """
Make the page of a diagnosis again, from its records and pictures; no model is needed.

RECORDS is the folder that a diagnosis wrote, of a clip or of a data set, or the records.parquet in it. The page is \
one HTML file that works offline: what holds, what breaks and what to change first, then the evidence. What the \
records do not hold is left out, and the page says so.
"""


def report(
    records: Annotated[Path, typer.Argument(metavar="RECORDS", help="Folder of a diagnosis, or its records.parquet.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page (default: report.html beside the records).")
    ] = None,
) -> None:
    """Make the page of a diagnosis from its records."""
    from maskscope.records import read_facts
    from maskscope.report.findings_page import clip_pages, read_findings, write_findings_html
    from maskscope.report.findings_shape import FORMAT
    from maskscope.report.page.page import write_page

    file = records / "records.parquet" if records.is_dir() else records
    if file.exists() and read_facts(file).get("format") == FORMAT:
        target = out or file.with_name("report.html")
        page = write_findings_html(*read_findings(file), target, clip_pages(target.parent))
        typer.echo(f"look at {page}")
        return
    typer.echo(f"look at {write_page(records, out)}")
