"""Runs as a Rerun recording: frames, masks, pictures of the positions and all measures along one time line.

    CONDITION/frame, CONDITION/frame/masks       the frame, and the objects' masks over it
    CONDITION/OBJECT/POSITION                    features by three main directions as red, green and blue
    measures/METRIC/[POSITION/]OBJECT/CONDITION  time series
    losses/CONDITION                             a line of text where an object is lost

CONDITION is `as_filmed`, or family and severity of a transformation. Directions are fitted once, on the first frame of
the clip as it is that has the position, so equal colours are equal features along time and between conditions. The file
is written as the runs go on; nothing is held but one basis for each position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from maskscope.data.output import writing
from maskscope.errors import OutputError
from maskscope.extras import load_extra
from maskscope.observe.probe import Sight
from maskscope.records import Record
from maskscope.stages import STAGES, Stage
from maskscope.studies.observed_run import Seen
from maskscope.studies.stage_pictures import Basis, small

AS_FILMED: Final = "as_filmed"
TIMELINE: Final = "frame"
HEIGHT_PX: Final = 360  # of frames in the recording
SERIES: Final = (
    "j",
    "separation_auc",
    "window_distance",
    "filtering_distance.object",
    "pointer_cosine.first",
    "recovered_j",
)
"""Metrics that are drawn along time, at positions and of whole objects."""
_JPEG_QUALITY: Final = 85


class RerunRecording:
    """One `.rrd` file.

    Args:
        path: the file; replaced only if `overwrite`.
        name: of the clip, shown by the viewer.
        fps: frames a second; None leaves out the time line in seconds.
        overwrite: replace an earlier file.

    Raises:
        SettingError: Rerun is not installed.
        OutputError: the file is there, or its folder cannot be written.
    """

    def __init__(self, path: Path, name: str, fps: float | None = None, overwrite: bool = False) -> None:
        self.path, self._fps = path, fps
        self._rerun = load_extra("rerun", "rerun", "recordings for Rerun")
        if path.exists() and not overwrite:
            raise OutputError(f"{path} is there already", "name another with --rerun, or add --overwrite")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("wb").close()  # Rerun reports no errors of the disk
        self._stream = self._rerun.RecordingStream("maskscope", recording_id=None)
        self._stream.save(str(path), default_blueprint=self._blueprint())
        self._stream.send_recording_name(name)
        self._bases: dict[Stage, Basis] = {}

    def see(self, condition: str, sight: Sight) -> None:
        """Draw a position's features; vectors have no picture."""
        if sight.tap or sight.object is None or sight.features.ndim != 3:
            return
        features = sight.features.detach().float().cpu().numpy().astype(np.float16)
        if sight.stage not in self._bases:
            if condition != AS_FILMED:
                return  # colours are those of the clip as it is
            self._bases[sight.stage] = Basis.fit([features])
        self._at(sight.frame)
        picture = self._rerun.Image(self._bases[sight.stage].colours(features))
        self._stream.log(f"{condition}/object_{sight.object}/{sight.stage}", picture)

    def take(self, condition: str, frame: int, seen: Seen) -> None:
        """Draw a frame with its masks."""
        picture = small(seen.frame.image_hwc, HEIGHT_PX)
        height, width = picture.shape[:2]
        labels: NDArray[np.uint8] = np.zeros(seen.frame.image_hwc.shape[:2], np.uint8)
        for object_id, mask in seen.masks.items():
            labels[mask] = object_id
        rows = np.linspace(0, len(labels) - 1, height).round().astype(int)
        columns = np.linspace(0, labels.shape[1] - 1, width).round().astype(int)
        self._at(frame)
        self._stream.log(f"{condition}/frame", self._rerun.Image(picture).compress(jpeg_quality=_JPEG_QUALITY))
        masks = self._rerun.SegmentationImage(labels[np.ix_(rows, columns)], opacity=0.5)
        self._stream.log(f"{condition}/frame/masks", masks)

    def tell(self, records: Iterable[Record]) -> None:
        """Draw measures along time, and say where objects are lost."""
        series: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for row in records:
            condition = f"{row.family.replace('/', '-')}-{row.severity}" if row.family else AS_FILMED
            if row.frame is None or row.tap:
                continue
            if row.metric in SERIES and row.value is not None:
                place = f"{row.stage}/" if row.stage else ""
                series[f"measures/{row.metric}/{place}object_{row.object}/{condition}"].append((row.frame, row.value))
            elif row.metric == "blame_reason" and row.state:
                self._at(row.frame)
                said = self._rerun.TextLog(f"object {row.object}: {row.state}", level="WARN")
                self._stream.log(f"losses/{condition}", said)
        for name, points in series.items():
            points.sort()
            frames, values = (np.array(column) for column in zip(*points, strict=True))
            times = [self._rerun.TimeColumn(TIMELINE, sequence=frames)]
            if self._fps:
                times.append(self._rerun.TimeColumn("time", duration=frames / self._fps))
            self._stream.send_columns(name, indexes=times, columns=self._rerun.Scalars.columns(scalars=values))

    def close(self) -> None:
        """Write what is under way."""
        self._stream.flush()
        self._stream.disconnect()

    def _at(self, frame: int) -> None:
        self._stream.set_time(TIMELINE, sequence=frame)
        if self._fps:
            self._stream.set_time("time", duration=frame / self._fps)

    def _blueprint(self) -> Any:
        """Frames above, positions below them, measures to the right."""
        view = load_extra("rerun.blueprint", "rerun", "recordings for Rerun")
        positions = [
            view.Spatial2DView(name=stage.replace("_", " "), contents=[f"/{AS_FILMED}/*/{stage}"])
            for stage in STAGES
            if stage != "object_pointer"
        ]
        frames = view.Spatial2DView(name="as filmed", origin=f"/{AS_FILMED}/frame")
        measures = [
            view.TimeSeriesView(name=metric.replace("_", " "), origin=f"/measures/{metric}") for metric in SERIES[:3]
        ]
        return view.Blueprint(
            view.Horizontal(
                view.Vertical(frames, view.Grid(*positions)),
                view.Vertical(*measures, view.TextLogView(name="losses", origin="/losses")),
            ),
            collapse_panels=True,
        )
