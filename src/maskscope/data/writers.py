"""All writers of results: overlay video, mask PNG, RLE lines, and the thread to run them in."""

from maskscope.data.async_writer import AsyncWriter
from maskscope.data.label_maps import MaskPngWriter, label_map
from maskscope.data.mask_files import read_mask
from maskscope.data.overlay import OverlayWriter, draw_overlay
from maskscope.data.rle import RleRecord, RleWriter, read_rle

__all__ = [
    "AsyncWriter",
    "MaskPngWriter",
    "OverlayWriter",
    "RleRecord",
    "RleWriter",
    "draw_overlay",
    "label_map",
    "read_mask",
    "read_rle",
]
