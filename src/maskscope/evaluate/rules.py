"""What each benchmark counts: which frames, which objects, and what a prediction that lacks some of them is worth.

Benchmarks share J and F and differ in these rules, so a score without its protocol's name means little. Where a rule
comes from a benchmark's own evaluation program it is followed to the letter; where none is public it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from maskscope.errors import SettingError
from maskscope.evaluate.boundary import DAVIS_TOLERANCE

Objects = Literal["first-frame", "all"]
Start = Literal["sequence", "object", "first-seen"]
Extra = Literal["refuse", "ignore"]
Missing = Literal["refuse", "empty", "zero"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The rules of one benchmark.

    Attributes:
        name: what records and tables call it.
        about: the frames and objects that count, in one sentence for people.
        objects: those on the first true mask, or all that truth ever shows. A data set's metadata goes before this.
        start: an object's frames begin with the sequence, with the first one that truth (or metadata) gives it, or
            with the first counted one that shows it in truth or in prediction.
        drops_first: leave out the first of an object's frames, which is given.
        drops_last: leave out the last of them.
        step_frames: of numbered frames, every so many from the start on.
        ignores_void: void pixels count for nothing; otherwise they are background.
        void_label: label of true pixels that belong to nobody; None where the benchmark has none.
        tolerance: outline distance of F, a share of the image diagonal.
        moses: region similarity and outlines as the program of MOSEv2 computes them, with its adaptive F (see
            `maskscope.evaluate.adaptive`).
        extra_objects: predicted objects that no true mask holds are an error, or count nowhere.
        missing_frames: a frame that counts and is not predicted is an error, or an empty prediction.
        extra_sequences: predicted sequences that truth lacks are an error, or count nowhere.
        missing_sequences: as of frames, of whole sequences; "zero" is J and F of 0 even where the object is absent.
        averages_unseen: J and F are means over seen and unseen categories, each a mean over objects.
    """

    name: str
    about: str
    objects: Objects = "first-frame"
    start: Start = "sequence"
    drops_first: bool = True
    drops_last: bool = True
    step_frames: int = 1
    ignores_void: bool = False
    void_label: int | None = 255
    tolerance: float = DAVIS_TOLERANCE
    moses: bool = False
    extra_objects: Extra = "ignore"
    missing_frames: Missing = "refuse"
    extra_sequences: Extra = "ignore"
    missing_sequences: Missing = "refuse"
    averages_unseen: bool = False


DAVIS = Protocol(
    name="davis",
    about="objects of the first mask, all frames but the first and the last; every object counts once",
    extra_objects="refuse",
)
"""Semi-supervised DAVIS 2016 and 2017, as the official tool evaluates them."""

MOSE = Protocol(
    name="mose",
    about="as davis, with MOSEv2's smoothed J and adaptive F, and clips of disappearance and reappearance",
    moses=True,
    missing_sequences="zero",
)
"""MOSEv2 as its own program scores it (`score.py`, `metricsv2.py` of MOSE-api). MOSEv1 follows DAVIS: use that."""

SAV = Protocol(
    name="sav",
    about="each object's annotated frames but the first and the last, from where it is first seen; overlaps are kept",
    objects="all",
    start="first-seen",
    void_label=None,
    extra_sequences="refuse",
)
"""SA-V val and test as Meta's program scores them (`sav_benchmark.py`). An object never seen is left out and said."""

LVOS = Protocol(
    name="lvos",
    about="each object from its own start, every fifth frame, the first and the last left out; mean of seen and unseen",
    objects="all",
    start="object",
    step_frames=5,
    averages_unseen=True,
)
"""LVOS v1 and v2 as their evaluation package scores them. Start and end come from the metadata where there is some."""

YTVOS = Protocol(
    name="ytvos",
    about="each object's frames after the one that gives it, to the end; mean of seen and unseen (own reading)",
    objects="all",
    start="object",
    drops_last=False,
    averages_unseen=True,
)
"""YouTube-VOS 2018 and 2019. Its server's program is not public; whether the frame that gives an object counts is not
written anywhere, and here it does not."""

ALL_FRAMES = Protocol(
    name="all-frames",
    about="every frame and every object that truth ever shows, first frame included; void pixels count for nothing",
    objects="all",
    drops_first=False,
    drops_last=False,
    ignores_void=True,
    extra_objects="refuse",
    missing_frames="empty",
    missing_sequences="empty",
)
"""No benchmark's: everything there is. What was not predicted counts as an empty mask."""

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {protocol.name: protocol for protocol in (DAVIS, MOSE, SAV, LVOS, YTVOS, ALL_FRAMES)}
)


def find_protocol(protocol: Protocol | str) -> Protocol:
    """The protocol, or the one of that name.

    Raises:
        SettingError: an unknown name.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise SettingError(f"protocol {protocol!r} is unknown", f"the known ones: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
