"""Read a mask that somebody drew, whatever way their tool stored it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskscope.errors import PromptError
from maskscope.palette import davis_palette

MAX_VALUES = 32  # more different values than this are a picture, unless they are the ids 1, 2, 3 ...
WHITE = 255

Labels = NDArray[np.uint8] | NDArray[np.int32]


def read_mask(path: Path | str) -> Labels:
    """A mask file as object ids.

    How files are read:
        - two values, 0 and 255 (any mode): one object with id 1;
        - indexed PNG: the indices are the ids, whatever the palette's colours; 255 is void and becomes 0;
        - grey, 8 or 16 bits: the values are the ids; 255 beside ids up to 32 is void and becomes 0;
        - colour: pixels in colours of the DAVIS palette become their ids; grey stored as colour is read as grey;
        - transparency is dropped.

    Returns:
        `(H, W)`, 0 for background: uint8, or int32 where ids above 255 occur.

    Raises:
        PromptError: the file cannot be read, or is no mask: a photograph, soft (antialiased) edges, JPEG.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            image.load()
            lossy = image.format == "JPEG"
            mode = image.mode
            if mode == "P" and not _is_grey_ramp(image):
                return _from_indices(path, np.array(image))
            if mode == "1":
                return np.array(image).astype(np.uint8)
            if mode in ("RGB", "RGBA", "CMYK", "YCbCr", "PA"):
                pixels = np.array(image.convert("RGB"))
            elif mode in ("LA", "La"):
                pixels = np.array(image.convert("L"))
            else:
                pixels = np.array(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "no such file" if not path.exists() else str(error)
        raise PromptError(f"cannot read mask {path} ({reason})", "give a PNG with the mask of one frame") from error
    if lossy:
        raise PromptError(f"mask {path} is a JPEG, which blurs the edges of masks", "save it as PNG")
    if pixels.ndim == 3:
        return _from_colours(path, pixels)
    return _from_grey(path, pixels)


def _is_grey_ramp(image: Image.Image) -> bool:
    """Whether the palette only spells out grey levels, index by index."""
    palette = np.array(image.getpalette("RGB"), dtype=np.int64).reshape(-1, 3)
    return len(palette) > 1 and bool(np.all(palette == np.arange(len(palette))[:, None]))


def _from_indices(path: Path, indices: NDArray[np.uint8]) -> Labels:
    values = np.unique(indices)
    ids = values[(values > 0) & (values < WHITE)]
    if len(ids) == 0 and WHITE in values:
        white: NDArray[np.uint8] = (indices == WHITE).astype(np.uint8)
        return white
    _check_few(path, ids)
    ids_only: NDArray[np.uint8] = np.where(indices == WHITE, 0, indices).astype(np.uint8)
    return ids_only


def _from_grey(path: Path, grey: NDArray[np.generic]) -> Labels:
    if not np.issubdtype(grey.dtype, np.integer):
        raise PromptError(f"mask {path} holds floating point numbers", "save it as 8-bit PNG with object ids")
    wide = grey.astype(np.int64)
    values = np.unique(wide)
    if values[0] < 0 or values[-1] > 65535:
        raise PromptError(f"mask {path} holds values from {values[0]} to {values[-1]}, expected object ids 0 to 65535")
    nonzero = values[values > 0]
    if len(nonzero) == 1 and nonzero[0] in (WHITE, 65535):
        return (wide > 0).astype(np.uint8)
    _check_few(path, nonzero[nonzero != WHITE])
    if WHITE in nonzero and len(nonzero) > 1:
        if nonzero[nonzero != WHITE].max() > MAX_VALUES:
            raise _soft(path, len(values))
        wide[wide == WHITE] = 0
    return wide.astype(np.uint8) if wide.max() <= 255 else wide.astype(np.int32)


def _from_colours(path: Path, rgb: NDArray[np.uint8]) -> Labels:
    packed = _pack(rgb)
    colours, place = np.unique(packed, return_inverse=True)
    palette = _pack(davis_palette())
    order = np.argsort(palette)
    found = order[np.searchsorted(palette[order], colours).clip(max=len(palette) - 1)]
    known = palette[found] == colours
    if known.all():
        labels: NDArray[np.uint8] = found.astype(np.uint8)[place].reshape(rgb.shape[:2])
        return labels
    if np.all(rgb == rgb[:, :, :1]):
        return _from_grey(path, rgb[:, :, 0])
    stranger = int(colours[~known][0])
    raise PromptError(
        f"{path} is not a mask: it has {len(colours)} colours, among them "
        f"({stranger >> 16}, {stranger >> 8 & 255}, {stranger & 255}) which is not of the DAVIS palette",
        "give black and white, grey object ids, or an indexed PNG",
    )


def _pack(rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    wide = rgb.reshape(-1, 3).astype(np.int64)
    return wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]


def _check_few(path: Path, ids: NDArray[np.integer]) -> None:
    if len(ids) > MAX_VALUES and int(ids.max()) != len(ids):
        raise _soft(path, len(ids))


def _soft(path: Path, count: int) -> PromptError:
    return PromptError(
        f"{path} is not a mask: it has {count} grey levels or indices, as pictures and masks with soft edges have",
        "threshold it to 0 and 255, or give object ids",
    )
