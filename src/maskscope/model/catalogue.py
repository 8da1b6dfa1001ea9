"""Every model that has a name, and the file that a name or path means."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from maskscope.errors import CheckpointError
from maskscope.model import hub
from maskscope.model.fit import meta_model
from maskscope.model.presets import PRESETS

BUNDLED = "compact"
_FOLDER_FILE = "model.safetensors"
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class ModelInfo:
    """One line of the list of models.

    Attributes:
        name: as `load_model` takes it.
        family: `sam2`, `sam2.1` or `compact`.
        parameters: how many numbers are learned.
        repo: repository on the hub, None for the bundled model.
        file: its file there, or in the package.
        cached: already downloaded.
        bundled: comes with the package.
    """

    name: str
    family: str
    parameters: int
    repo: str | None
    file: str
    cached: bool
    bundled: bool


def list_models(*, cache_dir: str | os.PathLike[str] | None = None) -> list[ModelInfo]:
    """Every model that has a name, the bundled one first; asks no network."""
    lines = []
    for name in (BUNDLED, *hub.RELEASED):
        bundled = name == BUNDLED
        lines.append(
            ModelInfo(
                name=name,
                family=PRESETS[name].family,
                parameters=sum(parameter.numel() for parameter in meta_model(PRESETS[name]).parameters()),
                repo=None if bundled else hub.repository(name),
                file=bundled_file().name if bundled else hub.official_file(name),
                cached=not bundled and hub.find_cached(name, cache_dir=cache_dir) is not None,
                bundled=bundled and bundled_file().is_file(),
            )
        )
    return lines


def bundled_file() -> Path:
    """Where the compact model's weights are in the package, whether or not they are there."""
    return Path(str(resources.files("maskscope"))) / "assets" / "compact.safetensors"


def locate(
    name_or_path: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    revision: str | None = None,
) -> Path:
    """The file of weights that a name or path means, downloaded if need be; arguments as of `load_model`.

    A preset's exact name is that model, whatever lies in the working folder; then come paths, then other spellings.

    Raises:
        CheckpointError: no such file or name, or a download that failed.
    """
    text = os.fspath(name_or_path)
    path = Path(text).expanduser()
    if text not in PRESETS and path.exists():
        return _inside(path) if path.is_dir() else path
    name = hub.canonical_name(text)
    if name is None:
        raise _unknown(text, path)
    if name != BUNDLED:
        return hub.fetch(name, cache_dir=cache_dir, offline=offline, revision=revision)
    bundled = bundled_file()
    if not bundled.is_file():
        raise CheckpointError(
            "the compact model's weights are not in this installation",
            "install a released maskscope, or name another model such as sam2.1-hiera-tiny",
        )
    return bundled


def _inside(folder: Path) -> Path:
    """The weights in a folder: `model.safetensors`, or the only file that looks like weights."""
    if (folder / _FOLDER_FILE).is_file():
        return folder / _FOLDER_FILE
    files = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if len(files) == 1:
        return files[0]
    held = f"{len(files)} files of weights ({', '.join(file.name for file in files[:3])})" if files else "no weights"
    raise CheckpointError(f"the folder {folder} holds {held} and no {_FOLDER_FILE}", "give the file itself")


def _unknown(text: str, path: Path) -> CheckpointError:
    """Neither a file nor a name: whichever it was meant to be, say what comes closest."""
    if name := hub.canonical_name(path.name):
        return CheckpointError(f"there is no file {path}", f"check the path, or give the name {name} to download it")
    wanted = text.lower().removeprefix(f"{hub.ORGANISATION}/").replace("_", "-")
    if path.suffix in _SUFFIXES or "/" in wanted or os.sep in wanted:
        return CheckpointError(f"there is no file {path}", "check the path")
    near = [name for name in PRESETS if wanted and wanted in name] or difflib.get_close_matches(wanted, PRESETS)
    return CheckpointError(f"there is no model or file called {text!r}", f"did you mean {', '.join(near or PRESETS)}?")
