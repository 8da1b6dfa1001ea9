"""Seconds of a human's time, as published.

Clicks and examining: the SAM 2 protocol (Ravi et al., arXiv 2408.00714, appendix E.1). A box: extreme clicking
(Papadopoulos et al., ICCV 2017), 7 s. A mask: 37.8 s, phase 1 of the SAM 2 data engine (masks drawn with SAM and brush,
frame by frame); a polygon in the manner of COCO takes 79 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskscope.errors import SettingError

PromptKind = Literal["clicks", "box", "mask"]


@dataclass(frozen=True)
class TimeModel:
    """What each act of a user takes, in seconds.

    Attributes:
        locate_s: to find the object on a frame.
        click_s: a click.
        examine_s_per_frame: to look through the result; 30 s for 300 frames.
        box_s: a box, with finding the object.
        mask_s: a mask, likewise.
    """

    locate_s: float = 1.0
    click_s: float = 1.5
    examine_s_per_frame: float = 30 / 300
    box_s: float = 7.0
    mask_s: float = 37.8

    def __post_init__(self) -> None:
        if min(self.locate_s, self.click_s, self.examine_s_per_frame, self.box_s, self.mask_s) < 0:
            raise SettingError("an act takes 0 seconds or more", "give times that are not negative")

    def prompt(self, kind: PromptKind, clicks: int = 0) -> float:
        """One prompt on one frame; a box takes clicks after it."""
        if kind == "mask":
            return self.mask_s
        first = self.box_s if kind == "box" else self.locate_s
        return first + self.click_s * clicks

    def offline(self, frames: int, clicks: int, rounds: int) -> float:
        """Rounds that each look through the whole clip and prompt one frame."""
        return (self.examine_s_per_frame * frames + self.locate_s + self.click_s * clicks) * rounds

    def online(self, frames: int, clicks: int, prompted: int) -> float:
        """One look through the clip, with a pause at each frame that is prompted."""
        return self.examine_s_per_frame * frames + (self.locate_s + self.click_s * clicks) * prompted
