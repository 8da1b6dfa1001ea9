"""Draw the contact sheets of docs/transforms: kinds of a family by its severities, of the bundled clip.

    python benchmarks/contact_sheets.py
    python benchmarks/contact_sheets.py --families occlusion,speed --keep sheets

For each family it does what these commands do, and stores the PNG as a smaller JPEG:

    python -m maskscope.data.synthetic --write-davis synthetic
    maskscope transform synthetic --preview --family occlusion/pass --family occlusion/rest ... --out occlusion.png

With --keep the PNGs stay there, and one that is there is not drawn again.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image

from maskscope.data.output import writing
from maskscope.data.synthetic.davis import write_davis
from maskscope.errors import MaskscopeError, SettingError
from maskscope.studies.preview import PreviewOptions, preview
from maskscope.transforms.registry import BUILT_IN, family

ROOT = Path(__file__).resolve().parents[1]
WIDTH_PX = 1500
MOST_BYTES = 200_000


def kinds(name: str) -> tuple[str, ...]:
    """Variants of a family that are a row of its sheet: those that are not another one with a hyphen behind it."""
    variants: tuple[str, ...] = getattr(family(name), "variants", ())
    return tuple(f"{name}/{variant}" for variant in variants if variant.partition("-")[0] == variant)


def small_jpeg(sheet: Image.Image) -> bytes:
    """The sheet at `WIDTH_PX`, in the best quality that keeps below `MOST_BYTES`."""
    height_px = round(sheet.height * WIDTH_PX / sheet.width)
    small = sheet.convert("RGB").resize((WIDTH_PX, height_px), Image.Resampling.LANCZOS)
    for quality in range(88, 20, -4):
        content = io.BytesIO()
        small.save(content, format="JPEG", quality=quality, optimize=True, progressive=True)
        if content.tell() < MOST_BYTES:
            break
    return content.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(BUILT_IN), metavar="NAME[,NAME]", help="only these")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images", metavar="DIR", help="of the JPEGs")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="of the PNGs")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            data, sheets = Path(scratch) / "synthetic", given.keep or Path(scratch)
            write_davis(data)
            for name in given.families.split(","):
                if name not in BUILT_IN:
                    raise SettingError(f"{name!r} is no family of this package", f"there are: {', '.join(BUILT_IN)}")
                sheet = sheets / f"{name}.png"
                if not sheet.exists():
                    preview(data, sheet, PreviewOptions(families=kinds(name)))
                target = given.out / f"transform-{name}.jpg"
                with writing(target), Image.open(sheet) as drawn:
                    target.write_bytes(small_jpeg(drawn))
                print(f"wrote {target} ({target.stat().st_size / 1e3:.0f} kB)")
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
