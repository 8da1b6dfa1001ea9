"""What the page of a diagnosis is made from: a folder with records and pictures. What is not there is left out.

    DIAGNOSIS/records.parquet   rows of `maskscope.records.Record`, and facts about them all (`Facts`) beside the rows
    DIAGNOSIS/pictures/...      PNG pictures and MP4 videos, listed in the facts

The clip as it is has family "" and severity 0; each transformation its family and severity. Metrics that are read:

    tracking              `j`, `outcome` (state: name of `maskscope.evaluate.presence.Outcome`), each frame and object,
                          at no stage; the clip as it is has them too
    losses                at the first frame of each: `loss` (state "lost" or "false alarm", value: number of frames),
                          `blame` (state: a stage, or "not determined"), `blame_confidence`, `blame_reason` (a state)
    separation            `separation_auc` at positions and taps, each frame; `separation_auc_control` at positions,
                          `separation_auc_position` and `separation_auc_rgb` at no stage
    onset                 of a whole condition: `onset` (stage, tap, value: the rise; or state "not determined"),
                          `onset_p`; `onset_earliest`, `onset_latest` (stage, tap, state "ok")
    early decoding        `early_j` at taps of memory attention and at positions, each frame
    filtering             `filtering_distance.object`, `.background`; `filtering_ratio.object`, at positions, each frame
    attention             `attention_enrichment.SLOT.object`, `.SLOT.background` and `.pointers`, by layer (tap)
    intervention          `recovered_j` at positions, each frame and (without frame) whole clip; `carried_j` likewise;
                          `ablation_loss`, `ablated_j` by source (tap) and `intact_j`, of the clip as it is
    distance to memory    `window_distance` at positions, each frame
    calibration           `predicted_iou.ece`, `.bias`, `.auc`, `object_score.ece`, `.ece_floor`, `.bias`, `.auc`

A metric that is missing leaves its section out, and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from maskscope.errors import RecordError
from maskscope.records import Record, read_facts, read_records
from maskscope.stages import STAGES

FORMAT: Final = "maskscope.diagnosis/1"
RECORDS_NAME: Final = "records.parquet"

_READ: Final = (  # how names of metrics begin that some section shows
    "j",
    "outcome",
    "loss",
    "blame",
    "separation_auc",
    "onset",
    "early_j",
    "filtering_",
    "attention_enrichment.",
    "recovered_j",
    "carried_j",
    "ablation_loss",
    "window_distance",
    "predicted_iou.",
    "object_score.",
)

Kind = Literal["panel", "overlay"]
PANELS: Final = ("input", *STAGES, "mask")
"""Pictures of one frame, in the order of a strip: the frame, what each position makes of it, and the mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A file of pictures, for the page to show.

    Attributes:
        file: path inside the diagnosis' folder, with forward slashes.
        kind: "panel" is a PNG of one of `PANELS`; "overlay" an MP4, the clean clip left and the transformed one right.
        clip: whose.
        family: of the transformation; empty for the clip as it is.
        severity: likewise 0.
        panel: one of `PANELS`; empty of an overlay.
        frame: number of the frame; None of an overlay.
        object: whose panels; None where they show all.

    Raises:
        RecordError: an unknown kind or panel, a panel without frame, or a file outside of the folder.
    """

    file: str
    kind: Kind
    clip: str
    family: str = ""
    severity: int = 0
    panel: str = ""
    frame: int | None = None
    object: int | None = None

    def __post_init__(self) -> None:
        path = Path(self.file)
        if path.is_absolute() or ".." in path.parts or not self.file:
            raise RecordError(f"the picture {self.file!r} is not inside the folder of the diagnosis")
        if self.kind not in ("panel", "overlay"):
            raise RecordError(f"{self.file} is a picture of the kind {self.kind!r}, expected panel or overlay")
        if self.kind == "panel" and (self.panel not in PANELS or self.frame is None):
            raise RecordError(
                f"{self.file} shows {self.panel!r} of frame {self.frame}, expected one of {', '.join(PANELS)} of a "
                f"frame"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """About a diagnosis as a whole.

    Attributes:
        status: "finished", or how far it came: "running", "stopped".
        truth: what masks are compared with: "annotated", or "clean run" where there are no annotations.
        command: that made it.
        model: name of the weights.
        policy: of the memory.
        fps: frames a second of the clip; None where unknown or where clips differ.
        maskscope_version: that made it.
        notes: sentences for the reader, such as why a family was not tried.
        pictures: to be shown.
    """

    status: str = "finished"
    truth: Literal["annotated", "clean run"] = "annotated"
    command: tuple[str, ...] = ()
    model: str = ""
    policy: str = ""
    fps: float | None = None
    maskscope_version: str = ""
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As `maskscope.records.write_records` takes facts."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Facts:
        """The inverse; facts of another program, or none, give the defaults.

        Raises:
            RecordError: they are of a diagnosis, but of another form.
        """
        if content.get("format") != FORMAT:
            if str(content.get("format", "")).startswith(FORMAT.partition("/")[0]):
                raise RecordError(
                    f"the diagnosis has the format {content['format']}, expected {FORMAT}", "make it again"
                )
            return cls()
        known: dict[str, Any] = {name: value for name, value in content.items() if name in cls.__dataclass_fields__}
        try:
            pictures = tuple(Picture(**each) for each in known.pop("pictures", ()))
            lists: dict[str, Any] = {name: tuple(known[name]) for name in ("command", "notes") if name in known}
            known |= {**lists, "pictures": pictures}
            return cls(**known)
        except TypeError as error:
            raise RecordError(f"the facts of the diagnosis cannot be read ({error})", "make it again") from error


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Records and pictures.

    Attributes:
        folder: that pictures are in.
        records: one or more.
        facts: about all of them.
    """

    folder: Path
    records: tuple[Record, ...]
    facts: Facts = field(default_factory=Facts)

    @property
    def clips(self) -> tuple[str, ...]:
        """Their names, in the order of the records."""
        return tuple(dict.fromkeys(record.clip for record in self.records))


def open_diagnosis(path: Path | str) -> Diagnosis:
    """Read what a diagnosis left.

    Args:
        path: its folder, or a file of records.

    Raises:
        RecordError: there is none, it did not finish, holds no row, or is damaged or of another version.
        SettingError: PyArrow is not installed.
    """
    given = Path(path)
    file = given / RECORDS_NAME if given.is_dir() else given
    if not file.exists():
        _refuse_missing(given, file)
    facts = Facts.from_json(read_facts(file))
    if facts.status != "finished":
        raise RecordError(
            f"the diagnosis in {given} is not finished (it is {facts.status})", "run the same command again to go on"
        )
    records = tuple(read_records(file))
    if not records:
        raise RecordError(f"{file} holds no row", "run the diagnosis again; a clip without the object leaves none")
    if not any(row.metric.startswith(_READ) for row in records):
        others = ", ".join(sorted({row.metric for row in records})[:3])
        raise RecordError(
            f"{file} holds no diagnosis, but {others}", "give the folder of a diagnosis or an observation"
        )
    return Diagnosis(file.parent, records, facts)


def _refuse_missing(given: Path, file: Path) -> None:
    if not given.exists():
        raise RecordError(f"there is no {given}", "give the folder of a diagnosis, or its records.parquet")
    begun = sorted(p.name for p in given.iterdir() if p.name in ("jobs", "parts") or p.suffix in (".json", ".part"))
    if begun:
        raise RecordError(
            f"the run in {given} was interrupted: it left {', '.join(begun[:3])} and no {file.name}",
            "run the same command again to go on",
        )
    raise RecordError(f"{given} holds no {file.name}", "give the folder of a diagnosis")
