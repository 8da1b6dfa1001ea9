"""How far the model and the tracker are from recorded outputs of the official code.

A case is a JSON file (a configuration, frames of a DAVIS sequence, steps) beside an `.npz` of what the official video
predictor gave at every step. The weights come from a deterministic function of their names, `golden_weights.py` in the
same folder, and go through the same key map as a released checkpoint. In which order a processor adds decides two
things that the code does not: which of two candidates has the better predicted IoU where these are a tie, and on which
side of zero a logit lies that is noise. Ties are decided as recorded, and masks have to agree where logits are more
than noise. Exit code 1: a case with a difference beyond tolerance, with an array that our run has no counterpart for,
or that could not be read or run; 2: there are no cases.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _golden_cases import Array, Case, find_cases, read_annotation, read_case, read_frames
from maskscope.errors import DatasetError, MaskscopeError
from maskscope.memory.bank import MemoryBank
from maskscope.memory.policies import registry
from maskscope.memory.policies.stock import StockPolicy
from maskscope.memory.policy import Candidates, Moment
from maskscope.memory.settings import PolicyKind, ReadSettings
from maskscope.model import PRESETS, SAM2
from maskscope.model.config import MemoryConfig
from maskscope.model.keymap import to_ours
from maskscope.model.mask_decoder import NO_OBJECT_LOGIT
from maskscope.model.presets import with_image_size
from maskscope.tracking.observer import Observation
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.results import FrameResult
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.video_tracker import VideoTracker

TOLERANCE = 0.02  # absolute, of features, logits, pointers and scores in float32
MASK_TOLERANCE = 0.002  # 1 - IoU of masks at the video's size
PROMPT_STEP = 4  # prompt logits are recorded at every 4th pixel
CHANNEL_STEP = 4  # stages at every 4th channel
TIE = 5e-4  # predicted IoUs that are nearer to each other change places with the order of sums
AS_RECORDED = "as-recorded"

STEP_KEY = re.compile(r"step\d+_(?:f\d+_)?(?:o-?\d+_)?(?P<kind>[a-z_]+)")


@dataclass(frozen=True)
class Comparison:
    """One array compared: the worst absolute difference, or 1 - IoU for masks; infinite when shapes differ.

    Of masks, `decided` is the same where our logit is farther from zero than logits may be from the recorded ones.
    """

    key: str
    difference: float
    decided: float | None = None

    @property
    def kind(self) -> str:
        """The key without step, frame and object."""
        match = STEP_KEY.fullmatch(self.key)
        return match["kind"] if match else self.key

    @property
    def tolerance(self) -> float:
        """What is allowed for this kind."""
        return MASK_TOLERANCE if self.kind == "video_mask" else TOLERANCE

    @property
    def passed(self) -> bool:
        """Not a number counts as failed."""
        return (self.difference if self.decided is None else self.decided) <= self.tolerance


class AsRecorded(StockPolicy):
    """SAM 2's policy; of candidates whose predicted IoUs are a tie, the one nearest to what was recorded."""

    def __init__(self, config: MemoryConfig, recorded: Callable[[int], Array | None]) -> None:
        super().__init__(config)
        self.recorded = recorded

    def choose_mask(self, candidates: Candidates, bank: MemoryBank, moment: Moment) -> int:
        """The stock policy's, but for ties."""
        best = super().choose_mask(candidates, bank, moment)
        ious = candidates.predicted_iou_m
        tied = [best, *(i for i, iou in enumerate(ious) if i != best and iou >= ious[best] - TIE)]
        recorded = self.recorded(candidates.frame_index)
        if len(tied) == 1 or recorded is None:
            return best
        masks = candidates.mask_logits_mhw.float().cpu().numpy()
        return min(tied, key=lambda i: float(np.abs(recorded - masks[i]).mean((1, 2)).min()))


@lru_cache(maxsize=1)
def golden_model(
    folder: Path,
    manifests: Path,
    preset: str,
    score_bias: tuple[str, float] | None,
    image_size: tuple[int, int] | None = None,
) -> SAM2:
    """The model of a case, its weights made by the folder's `golden_weights.py` for the official names and shapes.

    Raises:
        DatasetError: the function or the names are missing.
        CheckpointError: a name that is no official one.
    """
    source = folder / "golden_weights.py"
    spec = importlib.util.spec_from_file_location("golden_weights", source)
    if not source.is_file() or spec is None or spec.loader is None:
        raise DatasetError(f"{source} is missing", "it makes the weights of the cases")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        shapes = json.loads(manifests.read_text(encoding="utf-8"))[preset]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{manifests} does not list the parameters of {preset} ({error!r})", "give --manifests"
        ) from None
    state = module.golden_state({name: tuple(shape) for name, shape in shapes.items()})
    if score_bias is not None:
        state[score_bias[0]][:] = score_bias[1]
    config = PRESETS[preset] if image_size is None else with_image_size(PRESETS[preset], image_size)
    with torch.device("meta"):
        model = SAM2(config)
    ours = to_ours({name: torch.from_numpy(array) for name, array in state.items()}, "official")
    model.load_state_dict(ours, strict=True, assign=True)
    return model.requires_grad_(False).eval()


# -- running ------------------------------------------------------------------------------------------------------


class Run:
    """A case carried out step by step by our tracker, yielding (key, array) as the official run recorded them."""

    def __init__(self, case: Case, model: SAM2, davis: Path) -> None:
        self.case, self.davis = case, davis
        self.latest: dict[str, Observation] = {}
        self.encoded: Observation | None = None
        self.arrays = case.arrays
        self.number = 0  # of the step at hand
        self.noise: dict[str, Array] = {}  # of masks by key: where logits are nearer to zero than they have to agree
        registry.add(
            PolicyKind(AS_RECORDED, "", "", lambda config, _: AsRecorded(config, self.recorded), settings=ReadSettings)
        )
        self.tracker = VideoTracker(
            model,
            read_frames(case, davis),
            policy=AS_RECORDED,
            options=SessionOptions(keep_all=True),
            observers=[self.note],
        )

    def recorded(self, frame_index: int) -> Array | None:
        """Logits (n, h, w) of all objects that the official run tracked on this frame in the step at hand."""
        return self.arrays.get(f"step{self.number}_f{frame_index}_low_res_logits")

    def note(self, seen: Observation) -> None:
        """Of every stage keep the latest output of the last object: the official code goes one by one, in order.

        An embedding counts once something is decoded from it: the official code encodes no frame that it only repeats.
        """
        if seen.stage == "image_embedding":
            self.encoded = seen
            return
        if seen.stage == "prompt_attended" and self.encoded is not None:
            self.latest["image_embedding"] = self.encoded
        order = [*self.tracker.session.tracks, *seen.object_ids]
        held = self.latest.get(seen.stage)
        earlier_object = (
            held is not None
            and held.frame_index == seen.frame_index
            and [order.index(i) for i in seen.object_ids[-1:]] < [order.index(i) for i in held.object_ids[-1:]]
        )
        if not earlier_object:
            self.latest[seen.stage] = seen

    def outputs(self) -> Iterator[tuple[str, Array]]:
        """Everything, in order."""
        for number, step in enumerate(self.case.steps):
            self.number = number
            if step["op"] == "propagate":
                for result in self.propagate(step):
                    noise = result.mask_logits_nhw.abs() <= TOLERANCE
                    self.noise[f"step{number}_f{result.frame_index}_video_mask"] = noise.cpu().numpy()
                    yield from self.tracked(number, result)
            else:
                yield f"step{number}_prompt_logits", self.prompt(step)
        for stage, seen in self.latest.items():
            if stage in ("image_embedding", "memory_conditioned", "memory_features"):
                yield f"stage_{stage}", seen.output[-1, ::CHANNEL_STEP].float().cpu().numpy()

    def propagate(self, step: dict[str, Any]) -> Iterator[FrameResult]:
        """The official predictor starts at the first prompted frame, also backwards, and from 0 not at all."""
        start, reverse = step.get("start"), step.get("reverse", False)
        start = self.tracker.session.prompted_frames()[0] if start is None else start
        if not (reverse and start == 0):
            yield from self.tracker.propagate(start, reverse=reverse)

    @staticmethod
    def tracked(number: int, result: FrameResult) -> Iterator[tuple[str, Array]]:
        """One frame of a propagation."""
        prefix = f"step{number}_f{result.frame_index}"
        for object_id, masks in result.objects.items():
            yield f"{prefix}_o{object_id}_pointer", masks.pointer_c.cpu().numpy()
            yield f"{prefix}_o{object_id}_object_score", np.array([masks.object_score_logit], dtype=np.float32)
        logits = [masks.mask_logits_hw for masks in result.objects.values()]
        yield f"{prefix}_low_res_logits", torch.stack(logits).cpu().numpy()
        yield f"{prefix}_video_mask", np.packbits(result.masks, axis=-1)

    def prompt(self, step: dict[str, Any]) -> Array:
        """Say it, and see all objects on that frame: (n, H / 4, W / 4) logits at the video's size."""
        mask = read_annotation(self.case, self.davis, step["annotation"]) if step["op"] == "mask" else None
        prompt = Prompt(
            object_id=step["object"],
            points_xy_px=[(x, y) for x, y in step.get("points") or ()],
            labels=step.get("labels") or (),
            box_xyxy_px=tuple(step["box"]) if step.get("box") else None,
            mask=mask,
            keep_earlier=not step.get("clear", True),
        )
        answer = self.tracker.prompt(step["frame"], [prompt])
        known = {i: self.tracker.session.known(i, step["frame"]) for i in self.tracker.session.tracks}
        shown = {i: masks for i, masks in known.items() if masks is not None}
        result = FrameResult(step["frame"], shown, answer.video_size)
        logits = np.full((len(known), *answer.video_size), NO_OBJECT_LOGIT, dtype=np.float32)
        logits[[masks is not None for masks in known.values()]] = result.mask_logits_nhw.cpu().numpy()
        return logits[:, ::PROMPT_STEP, ::PROMPT_STEP]


# -- comparing ----------------------------------------------------------------------------------------------------


def compare_case(case: Case, davis: Path, manifests: Path, device: str = "cpu") -> list[Comparison]:
    """Run a case and compare every recorded array, in the order of the run; what has no counterpart comes last.

    Raises:
        DatasetError: something of the case is missing.
    """
    model = golden_model(case.folder, manifests, case.preset, case.score_bias, case.image_size).to(device)
    run = Run(case, model, davis)
    expected = dict(run.arrays)
    compared = []
    for key, ours in run.outputs():
        if key in expected:
            theirs, width = expected.pop(key), case.video_size[1]
            noise = run.noise.get(key)
            decided = None if noise is None else difference(key, ours, theirs, width, noise)
            compared.append(Comparison(key, difference(key, ours, theirs, width), decided))
    return compared + [Comparison(key, float("inf")) for key in expected]


def difference(key: str, ours: Array, theirs: Array, width: int, noise: Array | None = None) -> float:
    """Largest absolute difference; of packed masks the largest 1 - IoU over objects, `noise` (n, H, W) left out."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not key.endswith("video_mask"):
        return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max(initial=0.0))
    a, b = (np.unpackbits(packed, axis=-1)[..., :width].astype(bool) for packed in (ours, theirs))
    if noise is not None:
        a, b = a & ~noise, b & ~noise
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    return float(1 - np.where(either > 0, both / np.maximum(either, 1), 1.0).min(initial=1.0))


def badness(comparison: Comparison) -> float:
    """A difference that is no number is worse than any."""
    return float("inf") if np.isnan(comparison.difference) else comparison.difference


def worst_by_kind(comparisons: Sequence[Comparison]) -> dict[str, tuple[int, Comparison]]:
    """Number of arrays and the worst of them, for each kind."""
    kinds: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        kinds.setdefault(comparison.kind, []).append(comparison)
    return {kind: (len(of_kind), max(of_kind, key=badness)) for kind, of_kind in kinds.items()}


def print_case(case: Case, comparisons: Sequence[Comparison], seconds: float) -> None:
    print(f"\n{case.name} ({case.preset}, {case.sequence}, {len(case.frames)} frames, {seconds:.0f} s)")
    print(f"  {'kind':<26} {'arrays':>6} {'worst':>10} {'allowed':>8}  in")
    for kind, (count, worst) in worst_by_kind(comparisons).items():
        shown = "no match" if np.isinf(worst.difference) else f"{worst.difference:.5f}"
        verdict = "" if worst.decided is None else f", {worst.decided:.5f} where logits are no noise"
        verdict += "" if worst.passed else "  BEYOND TOLERANCE"
        print(f"  {kind:<26} {count:>6} {shown:>10} {worst.tolerance:>8}  {worst.key}{verdict}", flush=True)


@contextmanager
def reported(name: str, failed: list[str]) -> Iterator[None]:
    """An error is this case's failure and no other's."""
    try:
        yield
    except Exception as error:
        what = str(error) if isinstance(error, MaskscopeError) else repr(error)
        print(f"\n{name}\n  FAILED  {what}", flush=True)
        failed.append(name)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True, help="folder with the cases and golden_weights.py")
    parser.add_argument("--davis", type=Path, required=True, help="folder with JPEGImages/480p and Annotations/480p")
    parser.add_argument("--manifests", type=Path, help="names and shapes of the parameters [in CASES]")
    parser.add_argument("--only", help="only cases whose name contains this")
    parser.add_argument("--device", default="cpu", help="PyTorch device [cpu]")
    options = parser.parse_args(arguments)
    manifests = options.manifests or options.cases / "checkpoint_manifests.json"
    try:
        paths = find_cases(options.cases, options.only)
    except MaskscopeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed: list[str] = []
    cases: list[Case] = []
    for path in paths:
        with reported(path.stem, failed):
            cases.append(read_case(path))
    for case in sorted(
        cases, key=lambda c: (c.preset, str(c.image_size), str(c.score_bias), c.name)
    ):  # one model at a time
        with reported(case.name, failed):
            begin = time.perf_counter()
            comparisons = compare_case(case, options.davis, manifests, options.device)
            print_case(case, comparisons, time.perf_counter() - begin)
            failed += [case.name] * (not comparisons or not all(c.passed for c in comparisons))
    print(f"\n{len(paths) - len(failed)} of {len(paths)} cases agree" + (f"; not: {', '.join(failed)}" * bool(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
