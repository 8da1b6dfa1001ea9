"""What is kept of runs beside their records, if it is asked for: features (Zarr) and a recording for Rerun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from maskscope import __version__
from maskscope.observe.probe import Sight
from maskscope.records import Record
from maskscope.studies.looked_at import LookedAt
from maskscope.studies.observed_run import Seen
from maskscope.studies.rerun_recording import AS_FILMED, RerunRecording
from maskscope.studies.saved_features import FeatureChoice, FeatureFile


@dataclass(frozen=True)
class Keep:
    """What is asked for.

    Attributes:
        features: of the clip as it is; None keeps none.
        rerun: an `.rrd` file of all runs; None makes none.
    """

    features: FeatureChoice | None = None
    rerun: Path | None = None

    @property
    def anything(self) -> bool:
        """Whether runs have to be looked at for it."""
        return self.features is not None or self.rerun is not None


class Keeping:
    """Hands what runs show to the files that keep it; without a wish it does nothing.

    Args:
        keep: the wishes.
        clip: that is looked at.
        about: JSON values about model and policy, for the attributes of features.
        overwrite: replace earlier files.

    Raises:
        SettingError: Zarr or Rerun is not installed.
        OutputError: a file is there already, or cannot be written.
    """

    def __init__(
        self,
        keep: Keep | None,
        clip: LookedAt,
        about: dict[str, Any],
        overwrite: bool = False,
    ) -> None:
        keep = keep or Keep()
        self.wanted = keep.anything
        self.finished = False
        about = {"clip": clip.name, "fps": clip.fps, "video_size": list(clip.size), "maskscope": __version__, **about}
        self._features = (
            FeatureFile(keep.features, clip.num_frames, clip.start, clip.size, about, overwrite)
            if keep.features
            else None
        )
        self._rerun = RerunRecording(keep.rerun, clip.name, clip.fps, overwrite) if keep.rerun else None

    def see(self, sight: Sight, condition: str = AS_FILMED) -> None:
        """One object at one position; features are kept of the clip as it is alone."""
        if self._features is not None and condition == AS_FILMED:
            self._features.see(sight)
        if self._rerun is not None:
            self._rerun.see(condition, sight)

    def sink(self, condition: str, others: Sequence[Callable[[Sight], None]] = ()) -> Callable[[Sight], None] | None:
        """For `Instruments.sink`; None where nobody listens."""
        if not self.wanted:
            return others[0] if others else None

        def sink(sight: Sight) -> None:
            for other in others:
                other(sight)
            self.see(sight, condition)

        return sink

    def take(self, frame: int, seen: Seen, condition: str = AS_FILMED) -> None:
        """One frame with its masks."""
        if self._rerun is not None:
            self._rerun.take(condition, frame, seen)

    def tell(self, records: Iterable[Record]) -> None:
        """All rows, once they are there."""
        if self._rerun is not None:
            self._rerun.tell(records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._features is not None:
                self._features.close("finished" if self.finished and kind is None else "stopped")
        finally:
            if self._rerun is not None:
                self._rerun.close()
