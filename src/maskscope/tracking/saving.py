"""A tracker on disk: one safetensors file, no code in it, taken up where it stopped."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from maskscope.errors import CheckpointError, OutputError
from maskscope.memory.bank import FrameMemory, FrameSummary, MemoryBank
from maskscope.model import SAM2
from maskscope.tracking.object_track import ObjectTrack
from maskscope.tracking.prompts import ClickSet
from maskscope.tracking.session import Session, SessionOptions
from maskscope.tracking.tracker import Tracker

FORMAT = "maskscope.session/3"
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError)
_TENSORS = ("features_khw", "pointer_c", "mask_logits_hw")
_NOTE = "note."  # before the names that policies give their notes


def save_tracker(tracker: Tracker, path: str | Path) -> None:
    """Write everything a stream needs to go on: objects, memories, clicks and the policy's state.

    Corrections of the frame at hand enter memory first. The file appears whole or not at all.

    Raises:
        OutputError: it could not be written.
        PromptError: no frame has been seen yet.
    """
    with torch.inference_mode():
        tracker.settle()
    save_session(tracker.session, tracker.policy, path, {"frame_index": tracker.frame_index})


def load_tracker(path: str | Path, model: SAM2) -> Tracker:
    """Take up a saved tracker with the model it was made with.

    Raises:
        CheckpointError: no such file, not a session, or of another model.
    """
    saved = read_session(path)
    if "frame_index" not in saved.note:
        raise CheckpointError(f"{path} is a saved session but not of a stream", "give a file written by save_tracker")
    tracker = Tracker(model, saved.policy, saved.options)
    saved.restore(tracker.start_session(saved.video_size))
    tracker.frame_index = int(saved.note["frame_index"])
    return tracker


def save_session(session: Session, policy: str, path: str | Path, note: Mapping[str, Any]) -> None:
    """Write a session, whoever drives it. The file appears whole or not at all.

    Args:
        session: without prompts that wait for `commit`, which are not written.
        policy: the name of its memory policy.
        path: usually `*.safetensors`.
        note: plain JSON values of the driver's own, such as where it is in the video.

    Raises:
        OutputError: it could not be written.
    """
    assert not any(track.pending for track in session.tracks.values()), "commit before saving"
    tensors: dict[str, Tensor] = {}
    objects = {str(i): _describe(i, track, tensors) for i, track in session.tracks.items()}
    options = asdict(session.options) | {"memory_dtype": str(session.options.memory_dtype).removeprefix("torch.")}
    state = {
        "note": dict(note),
        "policy": policy,
        "video_size": session.video_size,
        "input_size": session.input_size,
        "model": session.model.config.to_dict(),
        "options": options,
        "objects": objects,
    }
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        # To bytes first: a full disk is then an ordinary error of the system.
        partial.write_bytes(save(tensors, metadata={"format": FORMAT, "state": json.dumps(state)}))
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"the session could not be written to {path} ({error.strerror or error})", "check space and permissions"
        ) from error


@dataclass(frozen=True, eq=False)
class SavedSession:
    """A session as read from disk, not yet joined to a model.

    Attributes:
        path: where it was read.
        note: what the driver wrote beside it.
        policy: name of the memory policy.
        options: as of the session.
        video_size: (H, W) in pixels.
    """

    path: Path
    note: dict[str, Any]
    policy: str
    options: SessionOptions
    video_size: tuple[int, int]
    _state: dict[str, Any]
    _tensors: dict[str, Tensor]

    def restore(self, session: Session) -> None:
        """Fill an empty session with the saved objects.

        Raises:
            CheckpointError: the session's model has another configuration than the one it was saved with, or the file
                is damaged.
        """
        if self._state["model"] != json.loads(json.dumps(session.model.config.to_dict())):
            raise CheckpointError(
                f"{self.path} was saved with another model", f"load the {self._state['model']['family']} it came from"
            )
        try:
            tracks = {int(i): _rebuild(text, self._tensors, session) for i, text in self._state["objects"].items()}
        except _MALFORMED as error:
            raise _damaged(self.path, error) from error
        session.tracks.update(tracks)


def read_session(path: str | Path) -> SavedSession:
    """Read what `save_session` wrote.

    Raises:
        CheckpointError: no such file, not a session, or damaged.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"{path} is no saved session of this version", f"expected {FORMAT}")
            state: dict[str, Any] = json.loads(metadata["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        options = state["options"] | {"memory_dtype": getattr(torch, state["options"]["memory_dtype"])}
        height, width = (int(side) for side in state["video_size"])
        if not (isinstance(state["note"], dict) and isinstance(state["objects"], dict) and "model" in state):
            raise TypeError("parts of the state are of another kind")
        return SavedSession(
            path, state["note"], str(state["policy"]), SessionOptions(**options), (height, width), state, tensors
        )
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no saved session ({error})", "give a file written by save_tracker") from None
    except _MALFORMED as error:
        if isinstance(error, CheckpointError):
            raise
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is a damaged session ({type(error).__name__}: {error})", "give a file written by save_tracker"
    )


def _describe(object_id: int, track: ObjectTrack, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """One object as JSON; its tensors go beside it."""
    written: dict[int, str] = {}
    banks = [_describe_bank(f"{object_id}/{path}", bank, tensors, written) for path, bank in enumerate(track.banks)]
    clicks = {t: (c.points_nxy_px.tolist(), c.labels_n.tolist()) for t, c in track.clicks.items()}
    directions = list(track.directions.items())
    return {"policy": track.policy.state_dict(), "banks": banks, "clicks": clicks, "directions": directions}


def _describe_bank(
    where: str, bank: MemoryBank, tensors: dict[str, Tensor], written: dict[int, str]
) -> list[dict[str, Any]]:
    """Its frames; those that another pathway shares are written once. `written` has keys by the frames' identities."""
    memories = []
    for memory in bank:
        key = written.setdefault(id(memory), f"{where}/{memory.summary.frame_index}")
        for name in _TENSORS:
            tensor = getattr(memory, name)
            if tensor is not None:
                tensors[f"{key}/{name}"] = tensor.clone().contiguous()  # views of a batch share storage
        tensors.update({f"{key}/{_NOTE}{name}": note.clone().contiguous() for name, note in memory.notes.items()})
        memories.append({"key": key, "summary": asdict(memory.summary), "notes": list(memory.notes)})
    return memories


def _rebuild(described: dict[str, Any], tensors: dict[str, Tensor], session: Session) -> ObjectTrack:
    track = ObjectTrack(session.policy(session.model.config.memory))
    track.policy.load_state_dict(described["policy"])
    read: dict[str, FrameMemory] = {}
    track.bank, *track.rivals = [
        _rebuild_bank(entries, tensors, session.model.device, read) for entries in described["banks"]
    ]
    for t, (points, labels) in described["clicks"].items():
        track.clicks[int(t)] = ClickSet(
            np.asarray(points, dtype=np.float32).reshape(-1, 2), np.asarray(labels, dtype=np.int64)
        )
    track.directions = {int(t): bool(backwards) for t, backwards in described["directions"]}
    return track


def _rebuild_bank(
    described: list[dict[str, Any]], tensors: dict[str, Tensor], device: torch.device, read: dict[str, FrameMemory]
) -> MemoryBank:
    """The inverse of `_describe_bank`; `read` has what other pathways have read."""
    bank = MemoryBank()
    for entry in described:
        key = entry["key"]
        if key not in read:
            parts = {name: tensors.get(f"{key}/{name}") for name in _TENSORS}
            parts = {name: tensor if tensor is None else tensor.to(device) for name, tensor in parts.items()}
            pointer = parts.pop("pointer_c")
            if pointer is None:
                raise KeyError(f"{key}/pointer_c")
            notes = {name: tensors[f"{key}/{_NOTE}{name}"] for name in entry["notes"]}
            read[key] = FrameMemory(FrameSummary(**entry["summary"]), pointer_c=pointer, notes=notes, **parts)
        bank.write(read[key])
    return bank
