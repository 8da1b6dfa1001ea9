"""Which activation of one run belongs in the place of another's: the same moment, moved to where it is seen now.

A transformation says for each of its frames which moment of the source it shows and where its pixels came from. Where
that names one frame of the other run, its activations can be put in place, moved by the map of coordinates; where it
does not, nothing is put in place, and the reason is kept. Nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.model.outputs import DecodedMasks, ImageFeatures
from maskscope.observe.alignment import align

NO_MOMENT: Final = "shows no moment of the other clip"
BETWEEN: Final = "lies between two frames of the other clip"
BACKWARDS: Final = "goes back in time, past what the other run still holds"
BEYOND: Final = "lies beyond the end of the other clip"
NO_PLACES: Final = "is a vector, which has no places that a map could move"
OTHER_FORM: Final = "has another form in the other run"
NOT_GIVEN: Final = "was not given in the other run"
UNSEEN: Final = "shows nothing that the other frame shows"

_MAPS: Final = {  # what of an activation has places
    ImageFeatures: ("embedding_bchw", "fine_bchw", "middle_bchw"),
    DecodedMasks: ("mask_logits_bmhw", "attended_bchw", "upscaled_bchw"),
}


class CannotAlign(Exception):
    """An activation has no counterpart; says why, with one of the reasons above."""


@dataclass(frozen=True, slots=True, eq=False)
class Counterpart:
    """The other run's frame that shows the same moment.

    Attributes:
        frame: its number; None where there is none.
        to_other: (3, 3) homography from this frame's pixels to those of the other; None where nothing moved.
        reason: why there is none.
    """

    frame: int | None
    to_other: NDArray[np.float64] | None = None
    reason: str = ""

    @classmethod
    def of(cls, source_time: float | None, to_source: NDArray[np.float64] | None = None) -> Counterpart:
        """Of a transformed frame, from what its plan says.

        Args:
            source_time: moment of the source that is shown, in frames; None for foreign footage.
            to_source: homography to the source frame; None, or the identity, where nothing moved.
        """
        if source_time is None:
            return cls(None, reason=NO_MOMENT)
        if source_time != round(source_time):
            return cls(None, reason=BETWEEN)
        moved = to_source is not None and not np.array_equal(to_source / to_source[2, 2], np.eye(3))
        return cls(round(source_time), to_source if moved else None)


def same_frame(frame_index: int) -> Counterpart:
    """The counterpart of every frame where neither time nor place was changed."""
    return Counterpart(frame_index)


def in_place(given: Any, own: Any, counterpart: Counterpart, size_hw: tuple[int, int]) -> Any:
    """The other run's activation as it belongs in the place of this run's own.

    Where nothing moved this is `given` itself. Else features are sampled bilinearly at the places their cells come
    from; cells that the other frame does not show keep their own features. A moved activation is not the activation
    of a moved picture, so what it repairs is a lower bound.

    Of `DecodedMasks` the masks and both feature maps are moved, the scores are taken over, and the output tokens stay
    this run's own: like pointers, they have no places.

    Args:
        given: what came out of an arrow in the other run, see `maskscope.observe.intervene` for the types.
        own: what came out here.
        counterpart: of the frame.
        size_hw: (height, width) of both runs' frames in pixels.

    Raises:
        CannotAlign: a vector that had to move, another form, or no cell in common.
    """
    if not _same_form(given, own):
        raise CannotAlign(OTHER_FORM)
    matrix = counterpart.to_other
    if matrix is None:
        return given
    if isinstance(given, Tensor):
        if given.ndim != 4:
            raise CannotAlign(NO_PLACES)
        return _moved(given, own, matrix, size_hw)
    maps = _MAPS[type(given)]
    moved = {name: _moved(getattr(given, name), getattr(own, name), matrix, size_hw) for name in maps}
    if isinstance(given, DecodedMasks):
        moved["output_tokens_bmc"] = own.output_tokens_bmc
    return replace(given, **moved)


def _moved(given_bchw: Tensor, own_bchw: Tensor, matrix: NDArray[np.float64], size_hw: tuple[int, int]) -> Tensor:
    rows = []
    for given_chw, own_chw in zip(given_bchw, own_bchw, strict=True):
        try:
            aligned = align(given_chw, matrix, size_hw)
        except ShapeError as error:
            raise CannotAlign(error.problem) from error
        if not aligned.valid_hw.any():
            raise CannotAlign(UNSEEN)
        rows.append(torch.where(aligned.valid_hw, aligned.features_chw, own_chw))
    return torch.stack(rows)


def _same_form(given: Any, own: Any) -> bool:
    if type(given) is not type(own):
        return False
    if isinstance(given, Tensor):
        return bool(given.shape == own.shape)
    return all(getattr(given, name).shape == getattr(own, name).shape for name in given.__dataclass_fields__)
