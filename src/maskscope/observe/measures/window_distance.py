"""How far the frame at hand is from the frames in memory, at each position: the regularised L2 distance over time.

    d = rms over components of (f - mean_W f) / deviation_W f

f is the position's output averaged over a coarse grid (a pointer as it is), W the window of frames last written to
memory. The deviation of each component has a least value, as `maskscope.memory.scene` has it, which the gated memory
policy decides by: at `image_embedding` this is the distance that policy sees.

Source: Bromley et al., arXiv 2410.22451 (the distance) and 2503.00042 (at every position); window, pooling and the
least deviation are ours, those of the papers are not published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from maskscope.errors import ShapeError
from maskscope.memory.scene import SceneSettings, pooled, regularized_deviation
from maskscope.memory.settings import check_range
from maskscope.observe.probe import Sight
from maskscope.observe.reading import Reading
from maskscope.stages import Stage

METRIC = "window_distance"
WARMING_UP = "too few frames in memory"
Place = tuple[Stage, int | None]


@dataclass(frozen=True)
class WindowSettings:
    """What a frame is compared with; the defaults are the gated policy's.

    Attributes:
        window: frames last written to memory.
        warm_up: no distance is given before so many are in it.
        grid: cells on each side that a map is averaged over.
        spread: least deviation of a component over time, as a fraction of the deviation over components.
    """

    window: int = SceneSettings.window
    warm_up: int = SceneSettings.warm_up
    grid: int = SceneSettings.grid
    spread: float = SceneSettings.spread

    def __post_init__(self) -> None:
        for name, low in {"window": 2, "grid": 1, "spread": 1e-6}.items():
            check_range(self, name, low)
        check_range(self, "warm_up", 2, self.window)


def window_distance(current_n: Tensor, window_wn: Tensor, spread: float = SceneSettings.spread) -> float:
    """Distance of one frame to w frames, in deviations, root mean square over n components.

    0 is the mean of the window and 1 as far as its own frames are from it; there is no upper end. It does not depend on
    the number of components or their unit, so positions can be compared.

    Args:
        current_n: (n,) pooled features.
        window_wn: (w, n) of the frames in memory, w >= 2.
        spread: least deviation, see `WindowSettings`.

    Raises:
        ShapeError: shapes that do not go together.
    """
    if window_wn.ndim != 2 or min(window_wn.shape) < 2 or current_n.shape != window_wn.shape[1:]:
        raise ShapeError(
            f"the frame is {tuple(current_n.shape)} and the window {tuple(window_wn.shape)}, "
            "expected (n,) and (w, n) with n and w of 2 or more"
        )
    window = window_wn.float()
    deviations = (current_n.float() - window.mean(0)) / regularized_deviation(window, spread)
    return float(deviations.square().mean().sqrt())


class WindowDistance:
    """A measure for `maskscope.observe.probe.Probe`: one reading for each position, object and frame.

    A frame enters an object's window when its memory is written, so that the window is what the policy let in; frames
    it refused are compared and then forgotten. A frame of `memory_features` is compared with the memories before it.
    Metric: `window_distance`, in deviations; while warming up, a state and no value.

    Args:
        settings: see `WindowSettings`.
    """

    def __init__(self, settings: WindowSettings | None = None) -> None:
        self.settings = settings or WindowSettings()
        self._now: dict[Place, tuple[int, Tensor]] = {}  # of the frame at hand
        self._windows: dict[Place, dict[int, Tensor]] = {}  # frame -> pooled features, in the order they were written

    def see(self, sight: Sight) -> Iterable[Reading]:
        """The distance at one of the five positions; finer taps are passed over."""
        if sight.tap:
            return []
        place = (sight.stage, sight.object)
        features = sight.features
        vector = features.float().cpu() if features.ndim == 1 else pooled(features, self.settings.grid)
        again = self._now.get(place, (None, None))[0] == sight.frame  # corrected: said before, but written anew
        self._now[place] = (sight.frame, vector)
        readings = [] if again else [self._reading(sight, vector)]
        if sight.stage == "memory_features":
            self._write(sight.object, sight.frame)
        return readings

    def _reading(self, sight: Sight, vector: Tensor) -> Reading:
        window = self._windows.get((sight.stage, sight.object), {})
        before = [kept for frame, kept in window.items() if frame != sight.frame]
        if len(before) < self.settings.warm_up:
            return sight.reading(METRIC, state=WARMING_UP)
        return sight.reading(METRIC, window_distance(vector, torch.stack(before), self.settings.spread))

    def _write(self, object_id: int | None, frame: int) -> None:
        """The frame's features at all positions join the object's windows; the oldest leave."""
        for place, (at, vector) in self._now.items():
            if at == frame and place[1] in (object_id, None):
                window = self._windows.setdefault(place, {})
                window.pop(frame, None)
                window[frame] = vector
                while len(window) > self.settings.window:
                    del window[next(iter(window))]
