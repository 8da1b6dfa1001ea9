"""The folder that transformed sequences are written to: what is in it, and how far it is."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from maskscope.data.output import writing
from maskscope.data.sequence_writer import PARTS, remove_sequence
from maskscope.errors import OutputError
from maskscope.studies.result_folder import Json

FORMAT: Final = "maskscope.transformed/1"
SEQUENCE_FORMAT: Final = "maskscope.transformed-sequence/1"
_LIST: Final = Path("ImageSets", "2017", "val.txt")  # where the evaluation programs of DAVIS look

Status = Literal["running", "stopped", "failed", "incomplete", "finished"]


class TransformFolder:
    """Names and state of a transformed data set.

    `manifest.json` says what was asked for (`request`: two runs with the same request give the same bytes) and how
    far it came; `manifests/<sequence>.json`, written when all files of a sequence are in place, says the sequence is
    complete, and how each of its frames was made.

    Args:
        path: the folder; need not exist.
        resolution: folder between the parts and the sequences.
    """

    def __init__(self, path: Path | str, resolution: str) -> None:
        self.path = Path(path)
        self.resolution = resolution
        self.manifest = self.path / "manifest.json"
        self.manifests = self.path / "manifests"

    def examine(self, request: Mapping[str, Any], overwrite: bool) -> None:
        """Refuse to write where something else is; changes nothing.

        Args:
            request: what is asked for, as plain JSON values.
            overwrite: earlier results of this program may be replaced.

        Raises:
            OutputError: the folder holds other files, or (without `overwrite`) results of another request.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file, expected a folder", "name another with --out")
        ours = (*sorted(PARTS), "manifests", "manifest.json", _LIST.parts[0])
        taken = [name for name in ours if (self.path / name).exists()]
        if not taken:
            return
        earlier = self._earlier()
        if earlier is None:
            # Also with --overwrite: it might be somebody's original.
            raise OutputError(
                f"{self.path} holds {', '.join(taken)} that no run of this command has written",
                "name another folder with --out",
            )
        if overwrite:
            return
        asked = json.loads(_text(request))
        different = [name.replace("_", " ") for name in {**earlier, **asked} if earlier.get(name) != asked.get(name)]
        if different:
            raise OutputError(
                f"{self.path} holds data transformed otherwise (other {', '.join(different)})",
                "name another folder with --out, or add --overwrite",
            )

    def clear(self) -> None:
        """Remove what earlier runs have written, and nothing else."""
        for name, content in self.complete().items():
            self.remove(name, str(content["resolution"]))
        with writing(self.path):
            for path in (self.manifest, self.path / _LIST):
                path.unlink(missing_ok=True)
        self.tidy()

    def complete(self) -> dict[str, Json]:
        """Manifests of the sequences that are whole, by name."""
        found = {}
        for path in sorted(self.manifests.glob("*.json")) if self.manifests.is_dir() else ():
            content = _read(path)
            if content is not None and content.get("format") == SEQUENCE_FORMAT and self._has_files(content):
                found[str(content["name"])] = content
        return found

    def remove(self, name: str, resolution: str | None = None) -> None:
        """Remove a sequence, its manifest first: from then on it does not count as complete."""
        with writing(self.path):
            self._manifest_of(name).unlink(missing_ok=True)
        remove_sequence(self.path, resolution or self.resolution, name)

    def write_sequence(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a sequence's manifest, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        facts = {"format": SEQUENCE_FORMAT, "name": name, "resolution": self.resolution}
        _write(self._manifest_of(name), {**facts, **content})

    def write_manifest(self, status: Status, content: Mapping[str, Any]) -> None:
        """Write `manifest.json` and the list of complete sequences, each whole or not at all.

        Raises:
            OutputError: one cannot be written.
        """
        done = self.complete()
        sequences = {
            name: {"frames": len(one["frames"]), "size_hw": one["size_hw"], "objects": one["objects"]}
            for name, one in done.items()
        }
        _write(self.manifest, {"format": FORMAT, "status": status, **content, "sequences": sequences})
        if done:
            _replace(self.path / _LIST, "".join(f"{name}\n" for name in done))

    def tidy(self) -> None:
        """Remove what a killed run has left half written, and folders that stayed empty."""
        for name in (*PARTS, "manifests", _LIST.parts[0]):
            with writing(self.path):
                for folder in (self.path / name).glob("**/.*.part/"):
                    shutil.rmtree(folder)
            for folder in sorted((self.path / name).glob("**/"), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def _manifest_of(self, name: str) -> Path:
        return self.manifests / f"{name}.json"

    def _has_files(self, content: Json) -> bool:
        """Whether all the files a manifest lists are there; what is in them is for who reads them to check."""
        try:
            return all((self.path / path).is_file() for frame in content["frames"] for path in frame["sha256"])
        except (KeyError, TypeError):
            return False

    def _earlier(self) -> Json | None:
        """The request of the run that has written here."""
        content = _read(self.manifest)
        if content is None or content.get("format") != FORMAT or not isinstance(content.get("request"), dict):
            return None
        request: Json = content["request"]
        return request


def overlaps(out: Path, read: Path) -> bool:
    """Whether a transformed data set in `out` would be written into a folder that is read, or around it."""
    source = read.resolve()
    for part in (*PARTS, "manifests", _LIST.parts[0]):
        written = (out / part).resolve()
        if source == written or source in written.parents or written in source.parents:
            return True
    return False


def plain(value: Any) -> Any:
    """JSON values of what families put into parameters and strengths: NumPy's numbers and arrays, tuples; no NaN.

    A number that is none (such as a speed without an object) becomes null.
    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(plain(content), ensure_ascii=False, allow_nan=False)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """One line for each frame, so that files of long clips can be read and compared."""
    frames = plain(content.get("frames"))
    text = json.dumps(
        plain({name: one for name, one in content.items() if name != "frames"}),
        indent=2,
        ensure_ascii=False,
        allow_nan=False,
    )
    if frames is not None:
        lines = ",\n".join(f"    {json.dumps(frame, ensure_ascii=False, allow_nan=False)}" for frame in frames)
        text = f'{text[:-2]},\n  "frames": [\n{lines}\n  ]\n}}'
    _replace(path, text + "\n")


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise


def _read(path: Path) -> Json | None:
    """A JSON object, or None where there is no whole one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
