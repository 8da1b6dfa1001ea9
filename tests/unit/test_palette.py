"""The palette is the one the data sets use."""

from __future__ import annotations

import numpy as np

from maskscope.palette import davis_palette


def test_known_colours_of_the_rule() -> None:
    palette = davis_palette()
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    known |= {20: (0, 64, 128), 255: (224, 224, 192)}
    for number, colour in known.items():
        assert tuple(int(c) for c in palette[number]) == colour


def test_every_number_has_its_own_colour() -> None:
    palette = davis_palette()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    assert len({tuple(row) for row in palette.tolist()}) == 256
    assert not palette.flags.writeable
