"""Errors for the user's mistakes: what was expected, what came, what to do.

The command line prints one line of these and exits with 2; everything else is a fault of ours and keeps its traceback.
"""

from __future__ import annotations


class MaskscopeError(Exception):
    """Base of every error a user can mend.

    Args:
        problem: what came, and what was expected instead, in one sentence.
        remedy: what to do about it; empty when the problem says it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}" if remedy else problem)


class ShapeError(MaskscopeError, ValueError):
    """A tensor, image or mask has another size than the one it goes with."""


class PromptError(MaskscopeError, ValueError):
    """A point, box or mask that cannot mean an object on its frame."""


class SettingError(MaskscopeError, ValueError):
    """An option that does not exist, or a value that does not fit it."""


class CheckpointError(MaskscopeError, ValueError):
    """Weights that are missing, damaged, unsafe, or of another model."""


class VideoError(MaskscopeError, ValueError):
    """A video or image folder that cannot be read or written."""


class DatasetError(MaskscopeError, ValueError):
    """A data set folder that is not laid out as its format says."""


class RecordError(MaskscopeError, ValueError):
    """A table of results that is damaged, or of another version."""


class OutputError(MaskscopeError, OSError):
    """Results that cannot be written, or that would overwrite others."""
