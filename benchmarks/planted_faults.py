"""How often the blame names the stage that is at fault: faults are planted, so the answer is known.

    python benchmarks/planted_faults.py [--dataset DIR] [--minutes M] [--json FILE]

On a clip that is tracked well, the output of exactly one position is perturbed on some frames (noise, a shift, another
clip's activation, three strengths each). Where the object is then lost, all five positions are patched and the loss is
blamed. Undisturbed runs see the same clip with the faint noise of another recording (one grey level); any blame there
is a false one. Clips are the bundled one and synthetic ones of its size, or with --dataset those of a folder in the
layout of DAVIS. Cases come in a drawn order, spread over positions, kinds, strengths and clips, until the time is up.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from _faults import STRENGTHS, Fault, replacement_of, same_form
from _table import write_record
from maskscope.data.davis import DavisDataset
from maskscope.data.synthetic import SyntheticConfig, synthesize_clip
from maskscope.errors import DatasetError, MaskscopeError
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.model.outputs import ImageFeatures
from maskscope.model.precision import default_device
from maskscope.observe.blame import NOT_DETERMINED, Blame, blame
from maskscope.observe.intervene import Intervened
from maskscope.observe.measures.pointer import PointerIdentity
from maskscope.observe.measures.separation import Separation
from maskscope.observe.patching import Activations, Side, patch_positions
from maskscope.observe.probe import Probe
from maskscope.observe.reading import Reading
from maskscope.observe.recovery import Recovery
from maskscope.stages import STAGES, Stage
from maskscope.studies.bundled_clip import BundledClip
from maskscope.tracking.prompts import Prompt

OBJECT = 1
NO_BLAME = "no blame"
LASTING: Mapping[Stage, tuple[int, int]] = {  # frames; a bad memory or two among seven are outvoted
    "image_embedding": (2, 5),
    "memory_conditioned": (2, 5),
    "prompt_attended": (2, 5),
    "object_pointer": (6, 9),
    "memory_features": (6, 9),
}
SCENES = (21, 22, 23, 24, 25, 26, 27)  # seeds of synthetic clips


@dataclass(frozen=True)
class Clip:
    """Frames and the object's masks, in memory."""

    name: str
    frames: Sequence[NDArray[np.uint8]]
    masks: Sequence[NDArray[np.bool_]]


@dataclass(frozen=True)
class Outcome:
    """One case: what was planted, and what was named where the object was lost."""

    clip: str
    stage: Stage | None
    kind: str
    strength: float
    frames: tuple[int, ...]
    lost: bool
    named: str
    confidence: float
    reason: str


class EncodedClip(Intervened):
    """The model on one clip, whose frames it encodes once for all runs."""

    def __init__(self, model: SAM2) -> None:
        super().__init__(model)
        self.encoded: dict[int, ImageFeatures] = {}

    def encode_image(self, images_fchw: torch.Tensor) -> ImageFeatures:
        """As `SAM2.encode_image`."""
        if self.frame_index not in self.encoded:
            self.encoded[self.frame_index] = self._model.encode_image(images_fchw)
        return self.encoded[self.frame_index]


class Bench:
    """One clip: its clean run, and runs with something planted beside it."""

    def __init__(self, model: SAM2, clip: Clip) -> None:
        self.model, self.clip = model, clip
        self.encoded = EncodedClip(model)
        self.activations = Activations(keep=None)
        clean = Intervened(self.encoded.as_model, self.activations.recorders())
        self.clean, scores, _ = self._run(self.side(self.encoded.as_model), self.side(clean.as_model), ())
        self.j = float(np.mean([r.value for r in scores if r.metric == "clean_j" and r.value is not None and r.frame]))

    def side(self, model: SAM2, frames: Sequence[NDArray[np.uint8]] | None = None, probe: Probe | None = None) -> Side:
        """A run of this clip, or of other frames of it."""
        shown = self.clip.frames if frames is None else frames
        prompts = {0: [Prompt(OBJECT, mask=self.clip.masks[0])]}
        return Side(model, shown.__getitem__, len(shown), prompts, (probe,) if probe else ())

    def truth(self, frame_index: int) -> dict[int, NDArray[np.bool_]]:
        """The object's mask."""
        return {OBJECT: self.clip.masks[frame_index]}

    def blame(self, model: SAM2, frames: Sequence[NDArray[np.uint8]] | None = None) -> tuple[list[Blame], bool]:
        """Blames of a disturbed run, and whether it lost the object where the clean run holds it.

        Positions are patched only if there is a loss to repair.
        """
        donor, receiver = self.side(self.encoded.as_model), self.side(model, frames)
        disturbed, scores, _ = self._run(donor, receiver, ())
        found = [each for each in blame(self.clean, disturbed, scores) if each.loss.held]
        if not found:
            return [], False
        _, patched, _ = self._run(donor, receiver, STAGES)
        return [each for each in blame(self.clean, disturbed, patched) if each.loss.held], True

    def _run(
        self, donor: Side, receiver: Side, stages: Sequence[Stage]
    ) -> tuple[list[Reading], list[Reading], list[Reading]]:
        """Readings of the receiver's positions, of all masks, and over the clip."""
        probe = Probe([Separation(), PointerIdentity()], self.truth, memory_dim=self.model.config.memory.dim)
        seen = Side(receiver.model, receiver.frame, receiver.num_frames, receiver.prompts, () if stages else (probe,))
        recovery, scores = Recovery(OBJECT, self.truth), list[Reading]()
        for step in patch_positions(donor, seen, stages=stages):
            scores += recovery.add(step)
        return probe.readings, scores, recovery.summary()


def bundled_and_synthetic(count: int, num_frames: int) -> Iterator[Clip]:
    bundled = BundledClip()
    yield cut("bundled", bundled.frame, bundled.masks, bundled.num_frames, num_frames)
    height, width = bundled.size
    for seed in SCENES[: count - 1]:
        drawn = synthesize_clip(
            SyntheticConfig(seed=seed, num_frames=num_frames, height_px=height, width_px=width, occlusion="none")
        )
        masks = drawn.visible_masks
        yield cut(f"synthetic {seed}", drawn.frames.__getitem__, masks.__getitem__, num_frames, num_frames)


def davis(root: Path, count: int, num_frames: int) -> Iterator[Clip]:
    for sequence in itertools.islice(DavisDataset(root, single_object=True), count):
        yield cut(sequence.name, sequence.frame, sequence.masks, sequence.num_frames, num_frames)


def cut(
    name: str,
    frame: Callable[[int], NDArray[np.uint8]],
    masks: Callable[[int], NDArray[np.uint8]],
    available: int,
    num_frames: int,
) -> Clip:
    """The beginning of a clip, in memory."""
    wanted = range(min(available, num_frames))
    return Clip(name, [frame(t) for t in wanted], [masks(t) == OBJECT for t in wanted])


def cases(benches: Sequence[Bench], seed: int) -> list[tuple[Bench, Fault, Activations | None]]:
    """Every position, kind, strength and clip, in a drawn order in which positions take turns."""
    rng = np.random.default_rng(seed)
    by_stage: dict[Stage, list[tuple[Bench, Fault, Activations | None]]] = {stage: [] for stage in STAGES}
    for number, bench in enumerate(benches):
        others = [*benches[number + 1 :], *benches[:number]]
        for stage, kind in itertools.product(STAGES, STRENGTHS):
            fit = [o for o in others if all(_fits(bench, o, stage, t) for t in range(1, len(bench.clip.frames)))]
            if kind == "other clip" and not fit:
                continue
            for strength in STRENGTHS[kind]:
                begin, length = int(rng.integers(3, 6)), int(rng.integers(*LASTING[stage]))
                fault = Fault(stage, kind, strength, tuple(range(begin, begin + length)), int(rng.integers(1 << 20)))
                by_stage[stage].append((bench, fault, fit[0].activations if kind == "other clip" else None))
    for of_stage in by_stage.values():
        rng.shuffle(of_stage)
    return [case for turn in itertools.zip_longest(*by_stage.values()) for case in turn if case is not None]


def _fits(bench: Bench, other: Bench, stage: Stage, frame_index: int) -> bool:
    own, theirs = bench.activations.at(stage, frame_index), other.activations.at(stage, frame_index)
    return bool(own and theirs) and same_form(own[0], theirs[0])


def planted(bench: Bench, fault: Fault, other: Activations | None) -> Outcome:
    faulty = Intervened(bench.encoded.as_model, {fault.stage: replacement_of(fault, other)})
    blames, lost = bench.blame(faulty.as_model)
    assert faulty.fired, "the fault reached nothing"
    first = next((each for each in blames if each.loss.last >= fault.frames[0]), None)
    return Outcome(
        bench.clip.name,
        fault.stage,
        fault.kind,
        fault.strength,
        fault.frames,
        lost and first is not None,
        NO_BLAME if first is None else first.stage or NOT_DETERMINED,
        0.0 if first is None else first.confidence,
        "" if first is None else first.reason,
    )


def undisturbed(bench: Bench, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    frames = [
        frame if t == 0 else np.clip(frame + rng.normal(0, 1, frame.shape), 0, 255).round().astype(np.uint8)
        for t, frame in enumerate(bench.clip.frames)
    ]
    blames, lost = bench.blame(bench.model, frames)
    named = [each for each in blames if each.stage is not None] or blames
    first = named[0] if named else None
    verdict = NO_BLAME if first is None else first.stage or NOT_DETERMINED
    confidence, reason = (0.0, "") if first is None else (first.confidence, first.reason)
    return Outcome(bench.clip.name, None, "undisturbed", 1.0, (), lost, verdict, confidence, reason)


def confusion(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """Planted -> named -> how often, where the object was lost."""
    columns = (*STAGES, NOT_DETERMINED)
    counts = Counter((each.stage, each.named) for each in outcomes if each.lost and each.stage)
    return {stage: {named: counts[stage, named] for named in columns} for stage in STAGES}


def top1(outcomes: Sequence[Outcome]) -> float | None:
    """Share of lost cases that name the planted position."""
    lost = [each for each in outcomes if each.lost and each.stage]
    return sum(each.named == each.stage for each in lost) / len(lost) if lost else None


def quiet_share(outcomes: Sequence[Outcome]) -> float | None:
    """Share of undisturbed runs in which no position is blamed."""
    runs = [each for each in outcomes if each.stage is None]
    return sum(each.named in (NO_BLAME, NOT_DETERMINED) for each in runs) / len(runs) if runs else None


def print_report(outcomes: Sequence[Outcome], planned: int) -> None:
    faults = [each for each in outcomes if each.stage]
    columns = (*STAGES, NOT_DETERMINED)
    print(f"\n{len(faults)} of {planned} faults planted, the object was lost in {sum(e.lost for e in faults)}")
    print(f"{'planted':<20}" + "".join(f"{column:>20}" for column in columns) + f"{'not lost':>10}")
    for stage, row in confusion(outcomes).items():
        kept = sum(each.stage == stage and not each.lost for each in outcomes)
        print(f"{stage:<20}" + "".join(f"{row[column]:>20}" for column in columns) + f"{kept:>10}")
    for kind, strengths in STRENGTHS.items():
        for strength in strengths:
            these = [e for e in faults if e.kind == kind and e.strength == strength]
            named = sum(e.lost and e.named == e.stage for e in these)
            lost = sum(e.lost for e in these)
            print(f"{kind:>12} {strength:<6g} {len(these):>4} planted {lost:>4} lost {named:>4} named")
    for name, share, of in (
        ("top-1 where the object was lost", top1(outcomes), sum(e.lost for e in faults)),
        ("no blame in undisturbed runs", quiet_share(outcomes), len(outcomes) - len(faults)),
    ):
        print(f"{name}: " + ("nothing to count" if share is None else f"{100 * share:.1f} % of {of}"))


def run(options: argparse.Namespace) -> None:
    begin = time.monotonic()
    size = tuple(options.image_size) if options.image_size else None
    model = load_model(options.model, device=default_device(), dtype=torch.float32, image_size=size)
    clips = (
        davis(options.dataset, options.clips, options.frames)
        if options.dataset
        else bundled_and_synthetic(options.clips, options.frames)
    )
    benches = [Bench(model, clip) for clip in tqdm(clips, desc="clean runs", unit="clip", disable=None, leave=False)]
    held = [bench for bench in benches if bench.j >= options.least_j]
    for bench in benches:
        print(f"{bench.clip.name}: clean J {100 * bench.j:.1f}" + ("" if bench in held else ", left out"))
    if not held:
        raise DatasetError("no clip is tracked well enough to plant a fault", "give other clips, or lower --least-j")
    planned = cases(held, options.seed)[: options.cases]
    nulls = [(bench, seed) for seed in range(options.undisturbed) for bench in held]
    outcomes: list[Outcome] = []
    deadline = begin + 60 * options.minutes
    quiet_until = begin + 60 * options.minutes * 0.25  # a quarter of the time at most for what nothing was done to
    for bench, seed in tqdm(nulls, desc="undisturbed", unit="run", disable=None, leave=False):
        if time.monotonic() < quiet_until:
            outcomes.append(undisturbed(bench, seed))
    for bench, fault, other in tqdm(planned, desc="faults", unit="run", disable=None, leave=False):
        if time.monotonic() < deadline:
            outcomes.append(planted(bench, fault, other))
    print_report(outcomes, len(planned))
    print(f"{time.monotonic() - begin:.0f} s")
    if options.json:
        facts: Mapping[str, object] = {
            "model": options.model,
            "frames": options.frames,
            "clips": {bench.clip.name: bench.j for bench in benches},
            "planned": len(planned),
            "confusion": confusion(outcomes),
            "top1": top1(outcomes),
            "undisturbed_without_blame": quiet_share(outcomes),
            "outcomes": [asdict(each) for each in outcomes],
        }
        write_record(options.json, "planted faults", "first loss after the fault, default BlameRule", {}, **facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--image-size", type=int, nargs=2, default=(288, 512), metavar=("H", "W"))
    parser.add_argument("--clips", type=int, default=4, help="how many")
    parser.add_argument("--frames", type=int, default=14, help="of each clip")
    parser.add_argument("--least-j", type=float, default=0.7, help="clips that the clean run tracks worse are left out")
    parser.add_argument("--cases", type=int, help="plant at most so many faults")
    parser.add_argument("--undisturbed", type=int, default=8, help="undisturbed runs of each clip")
    parser.add_argument("--minutes", type=float, default=9.0, help="no run is begun after that")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as a record")
    try:
        run(parser.parse_args())
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
