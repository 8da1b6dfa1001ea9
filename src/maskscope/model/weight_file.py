"""Tensors out of a file, whatever it is called: its content says which format it is, and no code in it ever runs."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from maskscope.errors import CheckpointError

_ZIP, _PICKLE, _LFS_POINTER = b"PK\x03\x04", b"\x80", b"version https://git-lfs"
_WRAPPERS: Final = ("model", "state_dict")
_FETCH_AGAIN: Final = "fetch the file again"


@dataclass(frozen=True)
class WeightFile:
    """What a file holds: tensors by name (possibly mapped from the file), and the strings safetensors keeps beside."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_weight_file(path: Path) -> WeightFile:
    """Read a safetensors file or a PyTorch checkpoint, bare or under "model" or "state_dict", onto the CPU.

    Raises:
        CheckpointError: no such file, unreadable, cut off, text, of another format, or a pickle that wants to run code.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}", "check the path")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror})", "check its permissions") from None
    if head.startswith((_ZIP, _PICKLE)):
        return WeightFile(_tensors_inside(_load_pickle(path, zipped=head.startswith(_ZIP)), path), {})
    if head[8:9] == b"{":
        return _load_safetensors(path)
    raise CheckpointError(f"{path} holds no weights: it is {_describe(head)}", _remedy_for(head))


def _load_safetensors(path: Path) -> WeightFile:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return WeightFile(tensors, file.metadata() or {})
    except (SafetensorError, OSError) as error:
        size = path.stat().st_size
        raise CheckpointError(
            f"{path} is cut off or damaged after {size} bytes ({_one_line(error)})", _FETCH_AGAIN
        ) from None


def _load_pickle(path: Path, zipped: bool) -> Any:
    if zipped and not zipfile.is_zipfile(path):  # its table of contents is at the end
        raise CheckpointError(f"{path} is cut off after {path.stat().st_size} bytes", _FETCH_AGAIN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they warn of (TorchScript, other pickles) is refused below
            # torch would believe this one suffix; and it maps only zipped files, and only by name
            if path.suffix == ".safetensors" or not zipped:
                with path.open("rb") as file:
                    return torch.load(file, map_location="cpu", weights_only=True)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        wanted = re.search(r"GLOBAL ([\w.]+)|(TorchScript)", str(error))
        if isinstance(error, pickle.UnpicklingError | RuntimeError) and wanted:
            raise CheckpointError(
                f"{path} is refused: only weights are read, and it also carries code or objects"
                f" ({wanted[1] or wanted[2]})",
                "save its state_dict() alone",
            ) from None
        raise CheckpointError(
            f"{path} is cut off, damaged, or no PyTorch checkpoint ({_one_line(error)})", _FETCH_AGAIN
        ) from None


def _tensors_inside(loaded: Any, path: Path) -> dict[str, Tensor]:
    """The named tensors, unwrapped."""
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(v, Tensor) for v in loaded.values()):
        kind = "empty" if loaded == {} else f"a {type(loaded).__name__} of something else"
        raise CheckpointError(
            f"{path} holds {kind}, expected tensors by name, bare or under one of {', '.join(_WRAPPERS)}",
            "save the model's state_dict()",
        )
    return {str(name): tensor for name, tensor in loaded.items()}


def _describe(head: bytes) -> str:
    if not head:
        return "empty"
    if head.startswith(_LFS_POINTER):
        return "a Git LFS pointer, not the file it points to"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return f"text that begins with {head[:24].decode()!r}"
    return f"of no known format (first bytes {head[:8].hex(' ')})"


def _remedy_for(head: bytes) -> str:
    if head.startswith(_LFS_POINTER):
        return "run `git lfs pull` where it came from"
    return "give a .safetensors file or a PyTorch checkpoint; if it should be one, fetch it again"


def _one_line(error: Exception) -> str:
    """The first sentence of a library's message, which can be a page long."""
    text = " ".join(str(error).split())
    return (re.split(r"(?<=\w)\. ", text)[0] or type(error).__name__)[:120]
