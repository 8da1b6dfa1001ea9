"""Why no stage was named for a loss, in few kinds: what a table counts, and half a sentence for everybody."""

from __future__ import annotations

from typing import Final

_KINDS: Final = (  # words of a reason -> its kind; the first that is found counts
    ("or does not show that moment", "the clip as it is loses the object there as well, or does not show that moment"),
    ("does not show that moment", "the clip as it is does not show that moment"),
    ("loses the object there as well", "the clip as it is loses the object there as well"),
    ("so little of the object is shown", "too little of the object is shown for any mask to fit"),
    ("covering what hides the rest", "the mask is wrong only for covering what hides the object"),
    ("brings the mask back", "separation falls, but putting it right where it falls brings too little back"),
    ("takes the false mask away", "separation falls, but putting it right where it falls leaves the false mask"),
    ("falls significantly at no position", "separation falls at no position"),
    ("by a narrow margin", "the answer changes with single frames and thresholds"),
    ("not there to be told apart", "the object is not there to be told apart"),
    ("was not measured", "separation was not measured"),
    ("cannot be aligned", "the two runs cannot be aligned"),
    ("no position was patched", "no position was patched"),
)

UNKNOWN: Final = "no reason was kept"


def kind_of(reason: str) -> str:
    """Of a reason as `maskscope.observe.blame` gives it, without its figures; an unknown one up to its colon.

    Args:
        reason: state of a row `blame_reason`; empty where none was kept.
    """
    if not reason:
        return UNKNOWN
    return next((kind for words, kind in _KINDS if words in reason), reason.partition(":")[0])
