"""SAM 2, exact and streaming, with instruments that show why it loses an object."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskscope.data.video import open_video
    from maskscope.errors import MaskscopeError
    from maskscope.model import PRESETS, SAM2, SAM2Config
    from maskscope.model.checkpoints import list_models, load_model, save_checkpoint
    from maskscope.studies.adapt import AdaptOptions, adapt
    from maskscope.studies.track import track_video
    from maskscope.tracking.image import ImagePredictor
    from maskscope.tracking.prompts import Prompt
    from maskscope.tracking.results import FrameResult
    from maskscope.tracking.saving import load_tracker, save_tracker
    from maskscope.tracking.session import SessionOptions
    from maskscope.tracking.tracker import Tracker
    from maskscope.tracking.video_tracker import VideoTracker

__version__ = "0.1.0"

_HOMES = {
    "AdaptOptions": "studies.adapt",
    "adapt": "studies.adapt",
    "open_video": "data.video",
    "MaskscopeError": "errors",
    "PRESETS": "model",
    "SAM2": "model",
    "SAM2Config": "model",
    "list_models": "model.checkpoints",
    "load_model": "model.checkpoints",
    "save_checkpoint": "model.checkpoints",
    "track_video": "studies.track",
    "ImagePredictor": "tracking.image",
    "Prompt": "tracking.prompts",
    "FrameResult": "tracking.results",
    "load_tracker": "tracking.saving",
    "save_tracker": "tracking.saving",
    "SessionOptions": "tracking.session",
    "Tracker": "tracking.tracker",
    "VideoTracker": "tracking.video_tracker",
}

__all__ = [
    "PRESETS",
    "SAM2",
    "AdaptOptions",
    "FrameResult",
    "ImagePredictor",
    "MaskscopeError",
    "Prompt",
    "SAM2Config",
    "SessionOptions",
    "Tracker",
    "VideoTracker",
    "adapt",
    "list_models",
    "load_model",
    "load_tracker",
    "open_video",
    "save_checkpoint",
    "save_tracker",
    "track_video",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `maskscope --help` should not wait for PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
