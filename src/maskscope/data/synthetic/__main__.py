"""Make the bundled clip anew, or a data set of made-up clips in the layout of DAVIS.

python -m maskscope.data.synthetic --write-davis DIR --clips 4
python -m maskscope.data.synthetic --write-demo
python -m maskscope.data.synthetic --scene conveyor --out DIR
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from maskscope import assets
from maskscope.data.synthetic import SyntheticConfig
from maskscope.data.synthetic.davis import write_davis
from maskscope.data.synthetic.demo import write_demo
from maskscope.data.synthetic.plant import SCENES, PlantConfig
from maskscope.data.synthetic.plant_files import write_plant
from maskscope.errors import MaskscopeError


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m maskscope.data.synthetic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write-davis", type=Path, metavar="DIR", help="the bundled clip and drawn ones, as a data set")
    what.add_argument("--write-demo", action="store_true", help="draw the bundled clip and write film and masks")
    what.add_argument("--scene", choices=SCENES, help="a clip as plants have them, as a film and true masks")
    parser.add_argument("--out", type=Path, metavar="DIR", help="of --scene (its name)")
    parser.add_argument("--clips", type=int, default=0, metavar="N", help="to draw beside the bundled one (none)")
    parser.add_argument("--frames", type=int, default=72, metavar="N", help="of each drawn clip (72)")
    parser.add_argument("--height", type=int, default=480, metavar="PX", help="of drawn clips; 16:9 (480)")
    parser.add_argument("--fps", type=float, default=25.0, metavar="N", help="of --scene (25)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of drawn clips (0)")
    parser.add_argument(
        "--folder", type=Path, default=Path(str(assets.folder())), help="of --write-demo (the package's own)"
    )
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given.write_demo:
        write_demo(given.folder)
        return
    try:
        if given.scene:
            plant = PlantConfig(
                scene=given.scene, seed=given.seed, num_frames=given.frames, height_px=given.height, fps=given.fps
            )
            write_plant(given.out or Path(given.scene), plant)
            return
        width_px = round(given.height * 16 / 9 / 2) * 2
        config = SyntheticConfig(
            seed=given.seed, num_frames=given.frames, height_px=given.height, width_px=width_px, object_height=0.3
        )
        write_davis(given.write_davis, given.clips, config)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
