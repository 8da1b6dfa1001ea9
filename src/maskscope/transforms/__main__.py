"""Print the tables of all families as Markdown, or renew those of pages.

python -m maskscope.transforms
python -m maskscope.transforms --update docs/transforms/*.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from maskscope.data.output import writing
from maskscope.errors import MaskscopeError
from maskscope.transforms.tables import all_tables, updated


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m maskscope.transforms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--update", type=Path, nargs="+", metavar="FILE", help="Markdown pages with marks for tables")
    pages: list[Path] | None = parser.parse_args().update
    try:
        if pages is None:
            print(all_tables())
        for page in pages or ():
            with writing(page):
                text = page.read_text(encoding="utf-8")
                page.write_text(updated(text), encoding="utf-8")
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
