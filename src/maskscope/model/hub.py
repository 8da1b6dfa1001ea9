"""Where the released weights are, and how they get here: names, files, cache and download.

Downloads go through huggingface_hub, so its cache, resuming, offline mode, mirrors and log-in work as elsewhere:
`HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_ENDPOINT` and `HF_TOKEN`; the first three are looked up at each call.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RevisionNotFoundError

from maskscope.errors import CheckpointError
from maskscope.model.presets import PRESETS

_log = logging.getLogger(__name__)

ORGANISATION: Final = "facebook"
RELEASED: Final = tuple(name for name in PRESETS if name != "compact")
_ABBREVIATIONS: Final = {"t": "tiny", "s": "small", "b+": "base-plus", "l": "large"}  # of the configuration files
_TRANSFORMERS_FILE: Final = "model.safetensors"


def canonical_name(spelling: str) -> str | None:
    """The preset meant by `facebook/sam2.1-hiera-tiny`, `sam2.1_hiera_tiny.pt`, `sam2.1_hiera_t.yaml` ..., or None.

    Examples:
        >>> canonical_name("sam2.1_hiera_b+.yaml")
        'sam2.1-hiera-base-plus'
    """
    name = spelling.strip().lower().removeprefix(f"{ORGANISATION}/").replace("_", "-")
    for suffix in (".pt", ".yaml"):
        name = name.removesuffix(suffix)
    stem, _, size = name.rpartition("-")
    name = f"{stem}-{_ABBREVIATIONS[size]}" if size in _ABBREVIATIONS else name
    return name if name in PRESETS else None


def repository(name: str) -> str:
    """Repository of a released model, the same on every mirror."""
    return f"{ORGANISATION}/{name}"


def official_file(name: str) -> str:
    """File of a released model inside its repository."""
    return name.replace("-", "_") + ".pt"


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder downloads are kept in: the argument, else `HF_HUB_CACHE`, else huggingface_hub's default."""
    return Path(cache_dir or os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def find_cached(
    name: str, *, cache_dir: str | os.PathLike[str] | None = None, revision: str | None = None
) -> Path | None:
    """The cached file of a released model, or None; asks no network."""
    for file in (official_file(name), _TRANSFORMERS_FILE):
        found = try_to_load_from_cache(repository(name), file, cache_dir=cache_folder(cache_dir), revision=revision)
        if isinstance(found, str):
            return Path(found)
    return None


def fetch(
    name: str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
    revision: str | None = None,
) -> Path:
    """Path of a released model's weights, downloaded where they are not cached; what is cached is not asked for again.

    Args:
        name: one of `RELEASED`.
        cache_dir: see `cache_folder`.
        offline: use the cache only; None is as `HF_HUB_OFFLINE` says.
        revision: branch, tag or commit; None is the main branch.

    Raises:
        CheckpointError: not cached and offline, out of reach, refused, not there, or no room for it.
    """
    if cached := find_cached(name, cache_dir=cache_dir, revision=revision):
        return cached
    folder, endpoint = cache_folder(cache_dir), _endpoint()
    if _is_offline() if offline is None else offline:
        raise CheckpointError(f"{name} is not in the cache {folder} and offline mode is on", _by_hand(name))
    for file in (official_file(name), _TRANSFORMERS_FILE):
        _log.info("fetching %s of %s from %s into %s", file, repository(name), endpoint, folder)
        try:
            return Path(hf_hub_download(repository(name), file, revision=revision, cache_dir=folder, endpoint=endpoint))
        except LocalEntryNotFoundError as error:
            raise _explain(error, name, folder, revision) from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the hub's transports have no error in common
            raise _explain(error, name, folder, revision) from error
    raise CheckpointError(
        f"{endpoint} has {repository(name)}, but neither {official_file(name)} nor {_TRANSFORMERS_FILE} in it",
        "check HF_ENDPOINT and the revision",
    )


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _is_offline() -> bool:
    switch = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return switch or constants.HF_HUB_OFFLINE


def _by_hand(name: str) -> str:
    return (
        f"where there is network run `hf download {repository(name)} {official_file(name)} --local-dir .`, bring the"
        " file here and give its path instead of the name (HF_ENDPOINT names a mirror, HF_HUB_CACHE another cache)"
    )


def _explain(error: Exception, name: str, folder: Path, revision: str | None) -> CheckpointError:
    """What a failed download means to its user."""
    causes = list(_causes(error))
    codes = {cause.errno for cause in causes if isinstance(cause, OSError)}
    statuses = [status for cause in causes if (status := _status(cause))]
    where = f"{repository(name)} at {_endpoint()}"
    if codes & {errno.ENOSPC, errno.EDQUOT}:
        return CheckpointError(
            f"the disk is full: {official_file(name)} does not fit into {folder}",
            "free some room there, or set HF_HUB_CACHE to a folder on another disk",
        )
    if codes & {errno.EACCES, errno.EPERM, errno.EROFS}:
        return CheckpointError(f"the cache {folder} cannot be written", "set HF_HUB_CACHE to a folder of yours")
    if any(isinstance(cause, RevisionNotFoundError) for cause in causes):
        return CheckpointError(f"{where} has no revision {revision!r}", "leave the revision out, or check it")
    if not statuses:
        return CheckpointError(
            f"{name} is not in the cache {folder} and {_endpoint()} did not deliver it ({_root(causes)})",
            _by_hand(name),
        )
    status = statuses[0]
    if status in (401, 403):
        remedy = f"log in (`hf auth login`, or set HF_TOKEN), check HF_ENDPOINT, or {_by_hand(name)}"
        return CheckpointError(f"{where} refuses access (HTTP {status})", remedy)
    if status == 404:
        return CheckpointError(f"{where} does not exist (HTTP 404)", f"check HF_ENDPOINT, or {_by_hand(name)}")
    return CheckpointError(f"{where} answered HTTP {status}", f"try again later, or {_by_hand(name)}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _root(causes: list[BaseException]) -> str:
    root = causes[-1]
    return " ".join(f"{type(root).__name__}: {root}".split())[:160]
