"""What every family of transformations has to keep, whatever it does."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clips import ArrayClip, moving_disc_clip
from numpy.typing import NDArray

from maskscope.transforms.base import SEVERITIES, Clip, ClipFrame, Family, Plan, TransformedClip
from maskscope.transforms.registry import family


@dataclass(frozen=True)
class Noises:
    """Material that costs nothing to draw."""

    def texture(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        return rng.integers(0, 256, (*size_hw, 3), dtype=np.uint8)

    def cutout(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        return rng.integers(0, 256, (*size_hw, 4), dtype=np.uint8)

    def footage(self, rng: np.random.Generator, num_frames: int, size_hw: tuple[int, int]) -> list[NDArray[np.uint8]]:
        return [self.texture(rng, size_hw) for _ in range(num_frames)]


def usual_clip(num_frames: int = 40, objects: int = 1) -> ArrayClip:
    return moving_disc_clip(num_frames, (48, 64), objects=objects)


def drawn(plan: Plan, clip: Clip) -> list[ClipFrame]:
    return [TransformedClip(clip, plan).at(t) for t in range(plan.num_frames)]


def realised(kind: Family, clip: Clip, severity: int, variant: str, seed: int = 0) -> NDArray[np.float64]:
    """Strength of every frame."""
    frames = drawn(kind.plan(clip, severity, seed, Noises(), variant), clip)
    return np.array([frame.strengths[-1] for frame in frames])


def ladder_of(kind: Family, clip: Clip, variant: str, seeds: int = 1) -> NDArray[np.float64]:
    """Mean realised strength at the severities 0 to 5, over frames and seeds."""
    return np.array(
        [np.mean([realised(kind, clip, s, variant, seed).mean() for seed in range(seeds)]) for s in SEVERITIES]
    )


def digest(frames: Iterable[ClipFrame]) -> str:
    """Of every byte a frame carries."""
    state = hashlib.sha256()
    for frame in frames:
        for array in (frame.image_hwc, frame.visible_hw, frame.amodal_hw, frame.void_hw, frame.to_source):
            state.update(b"none" if array is None else str((array.shape, array.dtype)).encode() + array.tobytes())
        state.update(repr((frame.source_time, frame.strengths)).encode())
    return state.hexdigest()


def digests(name: str, variants: Sequence[str]) -> dict[str, str]:
    """Of the third severity of each variant."""
    clip = usual_clip()
    return {v: digest(drawn(family(name).plan(clip, 3, 11, Noises(), v), clip)) for v in variants}


def expect_unchanged(kind: Family, variants: Sequence[str]) -> None:
    """Severity 0 hands on the very arrays, one by one."""
    clip = usual_clip(objects=2)
    for variant in (None, *variants):
        plan = kind.plan(clip, 0, 5, Noises(), variant)
        assert plan.num_frames == clip.num_frames
        for t in range(0, clip.num_frames, 13):
            (index,) = plan.sources(t)
            before = clip.at(index)
            after = plan.apply(t, [before])
            assert index == t
            assert after.image_hwc is before.image_hwc
            assert after.visible_hw is before.visible_hw
            assert after.amodal_hw is before.amodal_hw
            assert (after.void_hw, after.to_source, after.source_time) == (None, None, float(t))
            assert after.strengths == (0.0,)


def expect_pure(kind: Family, variants: Sequence[str]) -> None:
    """A plan gives the same bytes in any order and after pickling, and its pickle holds nothing that was drawn."""
    clip = usual_clip()
    for variant in variants:
        plan = kind.plan(clip, 3, 11, Noises(), variant)
        fresh = pickle.loads(pickle.dumps(plan))
        frames = drawn(plan, clip)
        packed = pickle.dumps(plan)
        assert len(packed) < 8_000, f"{variant}: what was kept is pickled"
        shown = TransformedClip(clip, fresh)
        backwards = [shown.at(t) for t in reversed(range(fresh.num_frames))][::-1]
        assert digest(backwards) == digest(frames), variant
        assert json.loads(json.dumps(plan.parameters))["severity"] == 3


def expect_same_elsewhere(name: str, variants: Sequence[str]) -> None:
    """Another process, with another hash seed, draws the same bytes."""
    code = "import json, sys; from family_checks import digests;print(json.dumps(digests(sys.argv[1], sys.argv[2:])))"
    paths = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", code, name, *variants],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == digests(name, variants)
