"""How often the blame names the stage that is at fault: faults are planted, so the answer is known.

    python benchmarks/planted_faults.py --outcomes FILE [--dataset DIR] [--minutes M] [--json FILE] [--page FILE]

On a clip that is tracked well, the output of exactly one position is perturbed on some frames (noise, a shift, another
clip's activation, three strengths each). Where the object is then lost, all five positions are patched and the loss is
blamed. Undisturbed runs see the same clip with the faint noise of another recording (one grey level); any blame there
is a false one. Clips are the bundled one and synthetic ones of its size, or with --dataset those of a folder in the
layout of DAVIS.

Cases come in a drawn order: each round has every position, kind and strength once, on clips in turn, and undisturbed
runs in between. Each is written to --outcomes at once; the same command goes on where the last one ended. With
--minutes 0 nothing is computed, and what is there is reported without a model.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from _faults import KINDS, Fault, frames_of, replacement_of, same_form, strengths
from _outcome_file import OutcomeFile
from _planted_clips import Bench, bundled_and_synthetic, davis
from _planted_page import NO_BLAME, UNDISTURBED, Outcome, report, summary, write_page
from _table import command_line, write_record
from maskscope.errors import DatasetError, MaskscopeError
from maskscope.model.checkpoints import load_model
from maskscope.model.precision import default_device
from maskscope.observe.blame import NOT_DETERMINED, Blame
from maskscope.observe.intervene import Intervened
from maskscope.observe.patching import Activations
from maskscope.stages import STAGES, Stage
from maskscope.studies.run_facts import weights_hash

EVERY = 3  # an undisturbed run after so many faults


@dataclass(frozen=True)
class Case:
    """One run: a fault on a clip, or nothing but faint noise.

    Attributes:
        clip: number of the clip.
        fault: what is planted; None of an undisturbed run.
        number: of the undisturbed run.
    """

    clip: int
    fault: Fault | None
    number: int = 0

    @property
    def name(self) -> str:
        """Tells it from all others of a plan."""
        if self.fault is None:
            return f"{self.clip} {UNDISTURBED} {self.number}"
        return f"{self.clip} {self.fault.stage} {self.fault.kind} {self.fault.strength:g}"


def plan(clips: int, undisturbed: int, seed: int) -> list[Case]:
    """All cases, in an order in which every beginning covers positions, kinds, strengths and clips evenly.

    Args:
        clips: how many.
        undisturbed: runs of each.
        seed: of the order, and of what is drawn for each fault.
    """
    rng = np.random.default_rng(seed)
    cells: list[tuple[Stage, Any, float]] = [(s, k, x) for s in STAGES for k in KINDS for x in strengths(s, k)]
    turns = {cell: rng.permutation(clips) for cell in cells}
    faults = []
    for number in range(clips):
        by_stage = {stage: [cell for cell in cells if cell[0] == stage] for stage in STAGES}
        for of_stage in by_stage.values():
            rng.shuffle(of_stage)
        for stage, kind, strength in itertools.chain(*zip(*by_stage.values(), strict=True)):
            fault = Fault(stage, kind, strength, frames_of(stage, rng), int(rng.integers(1 << 20)))
            faults.append(Case(int(turns[stage, kind, strength][number]), fault))
    quiet = [Case(clip, None, number) for number in range(undisturbed) for clip in range(clips)]
    order: list[Case] = []
    waiting = iter(quiet)
    for count, case in enumerate(faults, 1):
        order.append(case)
        if count % EVERY == 0:
            order += itertools.islice(waiting, 1)
    return [*order, *waiting]


def planted(bench: Bench, fault: Fault, other: Activations | None) -> Outcome:
    """Plant a fault, and see what is blamed for the first loss behind it."""
    faulty = Intervened(bench.encoded.as_model, {fault.stage: replacement_of(fault, other)})
    blames, lost = bench.blame(faulty.as_model)
    assert faulty.fired, "the fault reached nothing"
    first = next((each for each in blames if each.loss.last >= fault.frames[0]), None)
    lost = lost and first is not None
    return _outcome(bench, fault.stage, fault.kind, fault.strength, fault.frames, lost, first)


def undisturbed(bench: Bench, number: int) -> Outcome:
    """The same clip, recorded again: faint noise of its own."""
    rng = np.random.default_rng(number)
    frames = [
        frame if t == 0 else np.clip(frame + rng.normal(0, 1, frame.shape), 0, 255).round().astype(np.uint8)
        for t, frame in enumerate(bench.clip.frames)
    ]
    blames, lost = bench.blame(bench.model, frames)
    named = [each for each in blames if each.stage is not None] or blames
    return _outcome(bench, None, UNDISTURBED, float(number), (), lost, named[0] if named else None)


def _outcome(
    bench: Bench,
    stage: Stage | None,
    kind: str,
    strength: float,
    frames: tuple[int, ...],
    lost: bool,
    found: Blame | None,
) -> Outcome:
    named = NO_BLAME if found is None else found.stage or NOT_DETERMINED
    confidence, reason = (0.0, "") if found is None else (found.confidence, found.reason)
    return Outcome(bench.clip.name, stage, kind, strength, frames, lost, named, confidence, reason)


def fitting(benches: Sequence[Bench], number: int, fault: Fault) -> Activations | None:
    """Of the next clip whose activations can stand for this one's on all frames of the fault; None where none can."""
    own = benches[number].activations
    for other in (*benches[number + 1 :], *benches[:number]):
        pairs = [(own.at(fault.stage, t), other.activations.at(fault.stage, t)) for t in fault.frames]
        if all(ours and theirs and same_form(ours[0], theirs[0]) for ours, theirs in pairs):
            return other.activations
    return None


def compute(options: argparse.Namespace, file: OutcomeFile, deadline: float) -> None:
    """Cases that are not done, until the time is up."""
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
    cases = plan(len(held), options.undisturbed, options.seed)
    request = {
        "model": options.model,
        "weights_sha256": weights_hash(model),
        "image_size": list(model.config.image_size),
        "frames": options.frames,
        "seed": options.seed,
        "undisturbed": options.undisturbed,
        "clips": [bench.clip.name for bench in held],
    }
    file.begin({"request": request, "clips": {bench.clip.name: bench.j for bench in held}, "planned": len(cases)})
    for case in tqdm(list(_left(cases, file)), desc="cases", unit="run", disable=None, leave=False):
        if time.monotonic() > deadline:
            break
        bench = held[case.clip]
        if case.fault is None:
            file.add(case.name, undisturbed(bench, case.number))
            continue
        other = fitting(held, case.clip, case.fault) if case.fault.kind == "other clip" else None
        if case.fault.kind != "other clip" or other is not None:
            file.add(case.name, planted(bench, case.fault, other))


def _left(cases: Sequence[Case], file: OutcomeFile) -> Iterator[Case]:
    return (case for case in cases if case.name not in file.done)


def run(options: argparse.Namespace) -> None:
    """Compute what is left, and report all."""
    begin = time.monotonic()
    file = OutcomeFile(options.outcomes)
    if options.minutes > 0:
        compute(options, file, begin + 60 * options.minutes)
    if not file.header:
        raise DatasetError(f"{options.outcomes} holds no outcomes", "give --minutes more than 0")
    outcomes = list(file.done.values())
    print("\n" + report(outcomes, file.header["planned"]))
    print(f"\n{time.monotonic() - begin:.0f} s")
    if options.json:
        facts = {**file.header, **summary(outcomes)}
        write_record(options.json, "planted faults", "first loss after the fault, default BlameRule", {}, **facts)
    if options.page:
        write_page(options.page, outcomes, file.header, command_line())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outcomes", type=Path, default=Path("planted-faults.jsonl"), metavar="FILE", help="of lines")
    parser.add_argument("--dataset", type=Path, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--model", default="compact", metavar="NAME|FILE")
    parser.add_argument("--image-size", type=int, nargs=2, default=(288, 512), metavar=("H", "W"))
    parser.add_argument("--clips", type=int, default=6, help="how many")
    parser.add_argument("--frames", type=int, default=14, help="of each clip")
    parser.add_argument("--least-j", type=float, default=0.7, help="clips that the clean run tracks worse are left out")
    parser.add_argument("--undisturbed", type=int, default=12, help="undisturbed runs of each clip")
    parser.add_argument("--minutes", type=float, default=9.0, help="no case is begun after that; 0 computes nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as a record")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write a page in Markdown")
    try:
        run(parser.parse_args(arguments))
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
