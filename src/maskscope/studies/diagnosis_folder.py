"""The folder that an observation or a diagnosis writes to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from maskscope.data.output import writing
from maskscope.errors import OutputError
from maskscope.records import Record, write_records
from maskscope.report.page.diagnosis import RECORDS_NAME, Facts
from maskscope.studies.diagnosis_parts import PARTS_NAME, Parts

REPORT_NAME: Final = "report.html"
PICTURES_NAME: Final = "pictures"


class DiagnosisFolder:
    """`records.parquet`, and of a diagnosis `pictures/` and `report.html`; while it is not finished also `parts/`.

    The records say in their facts how far the work came; they are written whole, so what an interruption leaves can be
    read.

    Args:
        path: the folder; need not exist.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.records, self.report = self.path / RECORDS_NAME, self.path / REPORT_NAME
        self.pictures = self.path / PICTURES_NAME

    def examine(self, overwrite: bool, parts: Parts | None = None) -> bool:
        """Refuse to write where something else is; changes nothing.

        Args:
            overwrite: earlier results shall be replaced.
            parts: of the work that is to be done here.

        Returns:
            True if this very work was begun here, and shall go on.

        Raises:
            OutputError: the folder holds results, and `overwrite` is not set, or it is no folder.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file, expected a folder", "name another with --out")
        if parts is not None and parts.begun and not overwrite:
            return True
        mine = (self.records, self.pictures, self.report, self.path / PARTS_NAME)
        taken = [each.name for each in mine if each.exists()]
        if taken and not overwrite:
            raise OutputError(
                f"{self.path} holds {', '.join(taken)} already", "name another folder with --out, or add --overwrite"
            )
        return False

    def clear(self) -> None:
        """Remove what an earlier run has written, and nothing else."""
        with writing(self.path):
            for path in (self.records, self.report):
                path.unlink(missing_ok=True)
            for file in self.path.glob("cells-*.npz"):
                file.unlink()
            for pattern in ("*.png", "*.mp4"):
                for path in self.pictures.glob(pattern):
                    path.unlink()
            with contextlib.suppress(OSError):  # something else is in it
                self.pictures.rmdir()
        Parts(self.path, {}).clear()

    def write(self, records: Iterable[Record], facts: Facts) -> None:
        """Write the records so far.

        Raises:
            OutputError: they cannot be written.
            SettingError: PyArrow is not installed.
        """
        write_records(records, self.records, facts.to_json())
