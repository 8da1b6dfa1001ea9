"""`python -m maskscope.data.synthetic --write-demo`: make the bundled clip anew."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from maskscope import assets
from maskscope.data.synthetic.demo import write_demo


def main() -> None:
    """Read the command line and write the demo clip."""
    parser = argparse.ArgumentParser(prog="python -m maskscope.data.synthetic", description="Made-up clips.")
    parser.add_argument("--write-demo", action="store_true", help="draw the demo clip and write film and masks")
    parser.add_argument("--folder", type=Path, default=Path(str(assets.folder())), help="where to (the package's own)")
    arguments = parser.parse_args()
    if not arguments.write_demo:
        parser.error("say what to do: --write-demo")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_demo(arguments.folder)


if __name__ == "__main__":
    main()
