"""SAM 2 with weights and without state."""

from maskscope.model.config import SAM2Config
from maskscope.model.presets import PRESETS
from maskscope.model.sam2 import SAM2

__all__ = ["PRESETS", "SAM2", "SAM2Config"]
