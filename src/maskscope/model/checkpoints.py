"""Weights in and out: by name, from any known format, strictly; size and family are told by the tensors alone.

A file of ours is a safetensors file with the configuration in its metadata. The other formats carry none, so their
tensors must be those of a released model, or of a configuration the caller gives.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from maskscope.errors import CheckpointError, OutputError, ShapeError
from maskscope.model.catalogue import ModelInfo, list_models, locate
from maskscope.model.config import HieraConfig, SAM2Config
from maskscope.model.fit import check_fit, meta_model, nearest_preset, preset_of
from maskscope.model.keymap import Naming, from_ours, recognise_naming, to_ours, with_both_positions
from maskscope.model.precision import chosen_device
from maskscope.model.presets import PRESETS, with_image_size
from maskscope.model.sam2 import SAM2
from maskscope.model.weight_file import WeightFile, read_weight_file

__all__ = [
    "Checkpoint",
    "ModelInfo",
    "export_checkpoint",
    "list_models",
    "load_model",
    "locate",
    "read_checkpoint",
    "save_checkpoint",
]

_log = logging.getLogger(__name__)

FORMAT_VERSION: Final = 1
_VERSION_KEY, _CONFIG_KEY = "maskscope.format", "maskscope.config"

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights turned out to be.

    Attributes:
        state: our names, float32 on the CPU (float64 stays), in memory of its own.
        config: from the file's metadata, else of the released model with these tensors.
        preset: name of the preset with this configuration, whatever its input size; None for one's own.
        naming: whose names the file uses.
        metadata: strings stored beside the weights, without ours.
    """

    state: dict[str, Tensor]
    config: SAM2Config
    preset: str | None
    naming: Naming
    metadata: dict[str, str]


def load_model(
    name_or_path: PathLike = "compact",
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    image_size: tuple[int, int] | None = None,
    cache_dir: PathLike | None = None,
    offline: bool | None = None,
    revision: str | None = None,
    config: SAM2Config | None = None,
) -> SAM2:
    """A model with weights, in evaluation mode.

    Args:
        name_or_path: `compact` (comes with the package), a released model such as `sam2.1-hiera-tiny` (downloaded once;
            `facebook/sam2.1-hiera-tiny` and `sam2.1_hiera_tiny.pt` mean the same), a file, or a folder with
            `model.safetensors`. Files: ours, official and transformers' names, safetensors or PyTorch.
        device: None is the accelerator if there is one, else the CPU.
        dtype: of the heavy parts; masks, scores and pointers stay in float32 or better.
        image_size: (height, width) of the model's input in pixels, multiples of 32; None is what it was trained with.
        cache_dir: of downloads; None is as `HF_HUB_CACHE` says.
        offline: never ask the network; None is as `HF_HUB_OFFLINE` says.
        revision: branch, tag or commit of a released model's repository.
        config: of a model that is no preset, for a file that does not carry its configuration.

    Raises:
        CheckpointError: an unknown name, a download that failed, or a file that does not hold exactly such a model.
        ShapeError: sides that are no multiples of 32.
        MaskscopeError: a device that is not there.
    """
    if image_size is not None and (min(image_size) < 32 or any(side % 32 for side in image_size)):
        raise ShapeError(f"image_size is {image_size}, expected (height, width) in multiples of 32", "try (1024, 1024)")
    target = chosen_device(device)
    path = locate(name_or_path, cache_dir=cache_dir, offline=offline, revision=revision)
    found = read_checkpoint(path, config=config)
    _log.info("%s: %s (%s names)", path, found.preset or f"a {found.config.family} model", found.naming)
    model = meta_model(found.config if image_size is None else with_image_size(found.config, image_size))
    model.load_state_dict(found.state, strict=True, assign=True)
    return model.to(target).set_precision(dtype).eval()


def read_checkpoint(path: PathLike, *, config: SAM2Config | None = None) -> Checkpoint:
    """Read and recognise a file of weights; see `load_model` for the formats.

    Args:
        path: the file; its name means nothing.
        config: what to expect, instead of what the file or its tensors say.

    Raises:
        CheckpointError: not a file of weights, or a tensor is missing, unexpected, or of another shape.
    """
    path = Path(path).expanduser()
    file = read_weight_file(path)
    naming = recognise_naming(file.tensors)
    if naming is None:
        raise _not_sam2(file, path)
    tensors = with_both_positions(file.tensors) if naming == "transformers" else file.tensors
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = config or _stored_config(file, path) or PRESETS[nearest_preset(shapes, naming)]
    check_fit(shapes, config, naming, str(path))
    return Checkpoint(
        state={name: _as_float(tensor, name, path) for name, tensor in to_ours(tensors, naming).items()},
        config=config,
        preset=preset_of(config),
        naming=naming,
        metadata={key: text for key, text in file.metadata.items() if key not in ("format", _VERSION_KEY, _CONFIG_KEY)},
    )


def save_checkpoint(
    model: SAM2, path: PathLike, metadata: Mapping[str, str] | None = None, *, dtype: torch.dtype | None = None
) -> Path:
    """Write a model as safetensors with its configuration inside; the file appears whole or not at all.

    Args:
        model: whose weights and configuration are written.
        path: usually `*.safetensors`; missing folders are made.
        metadata: strings to keep beside the weights, such as where they come from.
        dtype: float16 or bfloat16 halve the file. Only weights of two or more dimensions are narrowed: layer scales of
            1e-6 and the phases of positions would not survive it. None keeps every tensor as it is.

    Raises:
        OutputError: the file cannot be written.
    """
    ours = {"format": "pt", _VERSION_KEY: str(FORMAT_VERSION), _CONFIG_KEY: json.dumps(model.config.to_dict())}
    return _write_safetensors(_narrowed(model, dtype), Path(path), {**(metadata or {}), **ours})


def export_checkpoint(
    model: SAM2,
    path: PathLike,
    naming: Literal["official", "transformers"] = "official",
    *,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a model for another implementation.

    Args:
        model: with a Hiera trunk.
        path: `*.safetensors`, or anything else for a PyTorch checkpoint (official ones put the weights under "model").
        naming: `official` for facebookresearch/sam2, `transformers` for `Sam2VideoModel`.
        dtype: as of `save_checkpoint`.

    Raises:
        CheckpointError: a model the other side does not have.
        OutputError: the file cannot be written.
    """
    if not isinstance(model.config.trunk, HieraConfig):
        raise CheckpointError(
            f"the trunk is {model.config.trunk.kind}, and only hiera trunks have {naming} names", "use save_checkpoint"
        )
    path = Path(path)
    state = from_ours(_narrowed(model, dtype), naming)
    if path.suffix == ".safetensors":
        return _write_safetensors(state, path, {"format": "pt"})
    with _replacing(path) as partial:
        torch.save({"model": state} if naming == "official" else state, partial)
    return path


def _write_safetensors(state: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> Path:
    owner = {id(tensor): name for name, tensor in state.items()}
    distinct = {name: t if owner[id(t)] == name else t.clone() for name, t in state.items()}  # the format shares none
    with _replacing(path) as partial:
        save_file(distinct, partial, metadata)
    return path


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all went well and is removed when not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode  # of any new file here; some writers make private ones
        yield partial
        partial.chmod(mode)
        partial.replace(path)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch tells a full disk by a RuntimeError
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise OutputError(
            f"{path} cannot be written ({reason})", "check the folder, its permissions and room"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _narrowed(model: SAM2, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """State on the CPU, its large weights in `dtype`."""
    state = {}
    for name, tensor in model.state_dict().items():
        narrow = dtype is not None and name.endswith(".weight") and tensor.ndim >= 2
        state[name] = tensor.detach().to("cpu", dtype if narrow else tensor.dtype).contiguous()
    return state


def _stored_config(file: WeightFile, path: Path) -> SAM2Config | None:
    """The configuration that files of ours carry."""
    if _CONFIG_KEY not in file.metadata:
        return None
    version = file.metadata.get(_VERSION_KEY, "")
    if version != str(FORMAT_VERSION):
        problem = f"{path} is of format {version!r}, expected {FORMAT_VERSION}"
        raise CheckpointError(problem, "update maskscope")
    try:
        plain = json.loads(file.metadata[_CONFIG_KEY])
    except json.JSONDecodeError:
        plain = None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path} has an unreadable configuration", "fetch the file again")
    return SAM2Config.from_dict(plain)


def _as_float(tensor: Tensor, name: str, path: Path) -> Tensor:
    """A copy, so that nothing depends on the file any more, in float32 at least."""
    if not tensor.is_floating_point():
        problem = f"{name} in {path} is {tensor.dtype}, expected floating point"
        raise CheckpointError(problem, "give weights that are not quantised")
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32), copy=True).contiguous()


def _not_sam2(file: WeightFile, path: Path) -> CheckpointError:
    names = list(file.tensors)
    if any(name.startswith(("mask_decoder.", "image_encoder.", "vision_encoder.")) for name in names):
        what = "weights of another Segment Anything model, such as the first one"
    else:
        what = f"{len(names)} tensors ({', '.join(names[:3])} ...)"
    return CheckpointError(
        f"{path} holds {what}, expected SAM 2 or SAM 2.1", "give such a file, or a name like compact"
    )
