"""A tracker on disk: one safetensors file, no code in it, taken up where it stopped."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from maskscope.errors import CheckpointError, OutputError
from maskscope.memory.bank import FrameMemory, FrameSummary
from maskscope.model import SAM2
from maskscope.tracking.prompts import ClickSet
from maskscope.tracking.session import ObjectTrack, Session, SessionOptions
from maskscope.tracking.tracker import Tracker

FORMAT = "maskscope.session/1"
_TENSORS = ("features_khw", "pointer_c", "mask_logits_hw")


def save_tracker(tracker: Tracker, path: str | Path) -> None:
    """Write everything a stream needs to go on: objects, memories, clicks and the policy's state.

    Corrections of the frame at hand enter memory first. The file appears whole or not at all.

    Raises:
        OutputError: it could not be written.
        PromptError: no frame has been seen yet.
    """
    with torch.inference_mode():
        tracker.settle()
    session = tracker.session
    tensors: dict[str, Tensor] = {}
    objects = {str(i): _describe(i, track, tensors) for i, track in session.tracks.items()}
    options = asdict(session.options) | {"memory_dtype": str(session.options.memory_dtype).removeprefix("torch.")}
    state = {
        "frame_index": tracker.frame_index,
        "policy": tracker.policy,
        "video_size": session.video_size,
        "input_size": session.input_size,
        "model": session.model.config.to_dict(),
        "options": options,
        "objects": objects,
    }
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata={"format": FORMAT, "state": json.dumps(state)})
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"the session could not be written to {path} ({error})", "check space and permissions"
        ) from None


def load_tracker(path: str | Path, model: SAM2) -> Tracker:
    """Take up a saved tracker with the model it was made with.

    Raises:
        CheckpointError: no such file, not a session, or of another model.
    """
    try:
        with safe_open(path, framework="pt", device=str(model.device)) as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"{path} is no saved session of this version", f"expected {FORMAT}")
            state: dict[str, Any] = json.loads(metadata["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no saved session ({error})", "give a file written by save_tracker") from None
    if state["model"] != json.loads(json.dumps(model.config.to_dict())):
        raise CheckpointError(
            f"{path} was saved with another model", f"load the {state['model']['family']} it came from"
        )
    options = state["options"] | {"memory_dtype": getattr(torch, state["options"]["memory_dtype"])}
    tracker = Tracker(model, state["policy"], SessionOptions(**options))
    session = tracker.start_session(tuple(state["video_size"]))
    for name, described in state["objects"].items():
        session.tracks[int(name)] = _rebuild(described, tensors, session)
    tracker.frame_index = state["frame_index"]
    return tracker


def _describe(object_id: int, track: ObjectTrack, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """One object as JSON; its tensors go beside it."""
    memories = []
    for memory in track.bank:
        key = f"{object_id}/{memory.summary.frame_index}"
        for name in _TENSORS:
            tensor = getattr(memory, name)
            if tensor is not None:
                tensors[f"{key}/{name}"] = tensor.clone().contiguous()  # views of a batch share storage
        memories.append({"key": key, "summary": asdict(memory.summary)})
    clicks = {t: (c.points_nxy_px.tolist(), c.labels_n.tolist()) for t, c in track.clicks.items()}
    directions = list(track.directions.items())
    return {"policy": track.policy.state_dict(), "memories": memories, "clicks": clicks, "directions": directions}


def _rebuild(described: dict[str, Any], tensors: dict[str, Tensor], session: Session) -> ObjectTrack:
    track = ObjectTrack(session.policy(session.model.config.memory))
    track.policy.load_state_dict(described["policy"])
    for entry in described["memories"]:
        parts = {name: tensors.get(f"{entry['key']}/{name}") for name in _TENSORS}
        pointer = parts.pop("pointer_c")
        assert pointer is not None
        track.bank.write(FrameMemory(FrameSummary(**entry["summary"]), pointer_c=pointer, **parts))
    for t, (points, labels) in described["clicks"].items():
        track.clicks[int(t)] = ClickSet(
            np.asarray(points, dtype=np.float32).reshape(-1, 2), np.asarray(labels, dtype=np.int64)
        )
    track.directions = {int(t): bool(backwards) for t, backwards in described["directions"]}
    return track
