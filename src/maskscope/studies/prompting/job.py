"""One job of the prompt study: one part of it, for one object of one clip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, get_args

import torch

from maskscope import __version__
from maskscope.records import Record
from maskscope.studies.jobs import Tick
from maskscope.studies.prompting.footage import ANNOTATED, OWN_RUN, FootageSpec
from maskscope.studies.prompting.inside import inside
from maskscope.studies.prompting.passages import passages
from maskscope.studies.prompting.rows import RowMaker
from maskscope.studies.prompting.time_model import TimeModel
from maskscope.studies.prompting.trials import AXES, TrialGrid
from maskscope.studies.prompting.users import clicks_to_reach, offline, online
from maskscope.studies.stress_clip import ModelSpec

Part = Literal["kind", "density", "jitter", "wrong", "offline", "online", "noc", "inside"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
HUMANS: Final = 3
"""Humans who click until a picture is right, for each seed of the grid."""


@dataclass(frozen=True)
class PromptJob:
    """Work of one job.

    Attributes:
        footage: which object of which clip.
        part: of the study.
        model: that tracks.
        policy: of its memory.
        grid: of trials.
        rounds: most frames that a correcting user speaks of.
        time: of the simulated users.
    """

    footage: FootageSpec
    part: Part
    model: ModelSpec
    policy: str
    grid: TrialGrid
    rounds: int
    time: TimeModel

    def __call__(self, run: str, tick: Tick) -> Iterator[Record]:
        """The rows of the part."""
        footage = self.footage.open(self.model, self.policy, tick)
        footage.check()
        model = footage.model
        facts = {
            "maskscope": __version__,
            "torch": torch.__version__,
            "weights_sha256": self.model.digest,
            "precision": str(model.heavy_dtype).removeprefix("torch."),
            "device": model.device.type,
            "image_size": list(model.config.image_size),
            "truth": ANNOTATED if footage.own is None else OWN_RUN,
        }
        base = partial(
            Record,
            run=run,
            clip=footage.name,
            object=self.footage.object_id,
            model=self.model.label,
            policy=self.policy,
        )
        make = RowMaker(base, footage, self.time)
        pixels = float(footage.truth(0).sum())
        yield base(
            metric="prompt_px", frame=0, value=pixels, provenance=json.dumps(facts, sort_keys=True)
        )  # once a job; the other rows say what was tried
        if self.part in AXES:
            trials = self.grid.of(self.part, footage.num_frames)
            yield from passages(footage, self.policy, trials, make, tick)
        elif self.part == "offline":
            yield from offline(footage, self.policy, self.rounds, make, tick)
        elif self.part == "online":
            yield from online(footage, self.policy, range(1, self.rounds + 1), make, tick)
        elif self.part == "noc":
            seeds = [HUMANS * seed + n for seed in self.grid.seeds for n in range(HUMANS)]
            yield from clicks_to_reach(footage, self.policy, seeds, make, tick)
        else:
            yield from inside(footage, self.policy, make, tick)
