"""Parts of pages that a benchmark writes: between `<!-- table: NAME -->` and the next `<!-- end -->`."""

from __future__ import annotations

from pathlib import Path

from maskscope.data.output import writing
from maskscope.errors import OutputError


def write_marked(page: Path, name: str, text: str) -> None:
    """Put text between the marks of a page.

    Raises:
        OutputError: the page has no such marks, or cannot be written.
    """
    begin, end = f"<!-- table: {name} -->", "<!-- end -->"
    with writing(page):
        before, mark, rest = page.read_text(encoding="utf-8").partition(begin)
        _, closing, after = rest.partition(end)
    if not mark or not closing:
        raise OutputError(f"{page} lacks {begin} with {end} after it", "write the marks where the text shall be")
    with writing(page):
        page.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")
