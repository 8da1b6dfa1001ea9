"""One job of the stress grid: a clip is transformed frame by frame, tracked, and scored, and nothing of it is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import tee
from operator import itemgetter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from maskscope import __version__
from maskscope.data.dataset import AnnotatedFrames, Dataset
from maskscope.data.label_maps import VOID_LABEL, label_map, object_labels
from maskscope.data.layouts import open_dataset, recognise
from maskscope.errors import DatasetError
from maskscope.evaluate.protocol import evaluate_sequence
from maskscope.evaluate.rules import Protocol, find_protocol
from maskscope.evaluate.tables import records_of
from maskscope.model import SAM2
from maskscope.model.checkpoints import load_model
from maskscope.records import Record
from maskscope.studies.drawn_clips import LAYOUT as DRAWN
from maskscope.studies.drawn_clips import DrawnDataset, drawn_count
from maskscope.studies.jobs import Tick
from maskscope.studies.long_clips import FAMILY as LONG
from maskscope.studies.long_clips import LongSpec, long_clip
from maskscope.studies.stress_measures import Comings, Cost
from maskscope.tracking.picture import input_size, mask_tensor
from maskscope.tracking.prompts import Prompt
from maskscope.tracking.session import SessionOptions
from maskscope.tracking.tracker import Tracker
from maskscope.transforms.base import Clip, ClipFrame, SourceClip
from maskscope.transforms.chain import Recipe, transform
from maskscope.transforms.material import ClipMaterial

Labels = NDArray[np.uint8]
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def stress_protocol(name: str) -> Protocol:
    """A benchmark's rules, made fit for clips that hide objects and have pixels without truth.

    An object counts from the frame on which it is given, the first that shows it. Where all objects are on the first
    frame and no pixel is void, as in DAVIS, nothing differs from the benchmark's own rules.

    Raises:
        SettingError: an unknown name.
    """
    rules = find_protocol(name)
    return replace(
        rules,
        name=f"{rules.name}-stress",
        about=f"{rules.about}; each object from the frame that gives it, the first that shows it; void counts nowhere",
        objects="all",
        start="object",
        ignores_void=True,
        void_label=VOID_LABEL,
    )


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how it is run; loaded once in each process.

    Attributes:
        name: of a released model, or a file.
        digest: SHA-256 of the file.
        precision: of the heavy parts, "float32" or "bfloat16".
        device: PyTorch's name; None is the accelerator if there is one, else the CPU.
        image_size: (height, width) of the input; None as trained.
    """

    name: str
    digest: str
    precision: str
    device: str | None = None
    image_size: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """What tables call it."""
        name = Path(self.name).name
        return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)

    def load(self) -> SAM2:
        """The model, the same object for the same specification."""
        return _load(self)


@lru_cache(maxsize=1)
def _load(spec: ModelSpec) -> SAM2:
    dtype: torch.dtype = getattr(torch, spec.precision)
    return load_model(spec.name, device=spec.device, dtype=dtype, image_size=spec.image_size)


@dataclass(frozen=True)
class DatasetSpec:
    """A data set by its folder, or `drawn:COUNT`; opened once in each process."""

    path: Path
    layout: str

    @classmethod
    def of(cls, dataset: str | Path, layout: str | None = None) -> DatasetSpec:
        """A folder, whose layout is recognised where it is not named, or made-up clips.

        Raises:
            DatasetError: neither.
        """
        if drawn_count(dataset) is not None:
            return cls(Path(dataset), DRAWN)
        return cls(Path(dataset).resolve(), layout or recognise(dataset).layout)

    def open(self) -> Dataset:
        """The data set, the same object for the same folder."""
        return _open(self)

    def clip(self, name: str) -> SourceClip:
        """The annotated frames of one sequence."""
        return SourceClip(AnnotatedFrames(self.open()[name]))


@lru_cache(maxsize=4)
def _open(spec: DatasetSpec) -> Dataset:
    if spec.layout == DRAWN:
        return DrawnDataset(drawn_count(spec.path) or 0)
    return open_dataset(spec.path, spec.layout)


@dataclass(frozen=True)
class StressClip:
    """Work of one job.

    Attributes:
        dataset: where the clip is.
        sequence: its name.
        recipe: of the transformation; None leaves the clip as it is.
        material: where occluders and foreign footage come from; None has them drawn.
        model: which tracks.
        policy: of its memory.
        protocol: name of the benchmark whose rules are followed, see `stress_protocol`.
        long: makes a long clip of it instead of a transformed one.
    """

    dataset: DatasetSpec
    sequence: str
    recipe: Recipe | None
    material: DatasetSpec | None
    model: ModelSpec
    policy: str
    protocol: str
    long: LongSpec | None = None

    def __call__(self, run: str, tick: Tick) -> Iterator[Record]:
        """Rows of each frame and object, then of the objects as a whole."""
        source = self.dataset.clip(self.sequence)
        clip: Clip = source
        if self.long is not None:
            clip = long_clip(source, self.long, self._material())
        elif self.recipe is not None:
            clip = transform(source, [self.recipe], self._material())
        model, rules = self.model.load(), stress_protocol(self.protocol)
        passage = Passage(clip, Tracker(model, self.policy, SessionOptions(num_frames=clip.num_frames)), tick)
        comings = Comings(rules)
        guesses, truths = tee(comings.watch(passage.frames()))
        score = evaluate_sequence(map(itemgetter(0), guesses), map(itemgetter(1), truths), rules, name=self.sequence)
        record = self._record(run, model)
        yield from records_of(score, partial(record, protocol=rules.name))
        yield from comings.records(partial(record, protocol=rules.name))
        yield from passage.cost.records(record)
        yield from passage.records(record, self.dataset.open()[self.sequence].object_ids, clip is not source)

    def _material(self) -> ClipMaterial:
        if self.material is None:
            return ClipMaterial()
        lent = self.material
        others = tuple(lent.clip(name) for name in lent.open().sequences)
        return ClipMaterial(others).without(self.sequence)

    def _record(self, run: str, model: SAM2) -> Callable[..., Record]:
        provenance = {
            "maskscope": __version__,
            "torch": torch.__version__,
            "weights_sha256": self.model.digest,
            "precision": str(model.heavy_dtype).removeprefix("torch."),
            "device": model.device.type,
            "image_size": list(model.config.image_size),
        }
        shared = partial(
            Record,
            run=run,
            clip=self.sequence,
            model=self.model.label,
            policy=self.policy,
            provenance=json.dumps(provenance, sort_keys=True),
        )
        if self.long is not None:
            long = self.long
            return partial(shared, transform=str(long), family=LONG, severity=long.severity, seed=long.seed)
        if self.recipe is None:
            return shared
        return partial(
            shared,
            transform=str(self.recipe),
            family=family_label(self.recipe),
            severity=self.recipe.severity,
            seed=self.recipe.seed,
        )


def family_label(recipe: Recipe) -> str:
    """The family's name, with the variant that was asked for."""
    return recipe.family if recipe.variant is None else f"{recipe.family}/{recipe.variant}"


@dataclass
class Passage:
    """A tracker's one way through a clip. Each object is given by its mask on the first frame that shows it.

    Where a mask is too small to be seen at the model's input, the object is given later; until it is given, its pixels
    count as void.

    Args:
        clip: what is tracked.
        tracker: that has seen nothing yet.
        tick: called once a frame.
    """

    clip: Clip
    tracker: Tracker
    tick: Tick
    given: dict[int, tuple[int, int]] = field(default_factory=dict)  # object -> frame, pixels
    scores: list[dict[int, float]] = field(default_factory=list)  # object -> logit, of each frame
    cost: Cost = field(default_factory=Cost)
    facts: list[tuple[float | None, float | None]] = field(default_factory=list)  # strength, source time

    def frames(self) -> Iterator[tuple[Labels, Labels]]:
        """Predicted and true label map of each frame; 255 is void in the true one.

        Raises:
            DatasetError: no frame shows an object that can be given.
        """
        for t in range(self.clip.num_frames):
            self.tick()
            frame = self.clip.at(t)
            truth = frame.visible_hw.copy()
            if frame.void_hw is not None:
                truth[frame.void_hw] = VOID_LABEL
            prompts = [prompt for number in object_labels(truth) if (prompt := self._prompt(truth, number, t))]
            for number in object_labels(truth):
                if number not in self.given:
                    truth[truth == number] = VOID_LABEL
            yield self._step(frame, prompts), truth
            strength = frame.strengths[-1] if frame.strengths else None
            self.facts.append((strength, frame.source_time))
        if not self.given:
            raise DatasetError(
                f"no frame of {self.clip.name} shows an object that can be given", "take a milder transformation"
            )

    def _prompt(self, truth: Labels, number: int, t: int) -> Prompt | None:
        """For an object that is seen for the first time."""
        if number in self.given:
            return None
        mask = np.asarray(truth == number)
        size = input_size(self.tracker.model.config, *mask.shape)
        if not mask_tensor(mask, size, torch.device("cpu"), torch.float32).any():
            return None
        self.given[number] = (t, int(np.count_nonzero(mask)))
        return Prompt(number, mask=mask)

    def _step(self, frame: ClipFrame, prompts: list[Prompt]) -> Labels:
        if not self.given:
            self.scores.append({})
            return np.zeros_like(frame.visible_hw)
        with self.cost.frame():
            result = self.tracker.step(frame.image_hwc, prompts)
            logits = result.mask_logits_nhw.float().cpu().numpy()
        self.cost.remembers(bank for track in self.tracker.session.tracks.values() for bank in track.banks)
        self.scores.append(dict(zip(result.object_ids, result.object_score_logits.tolist(), strict=True)))
        return label_map(logits > 0, result.object_ids, logits)

    def records(self, record: Callable[..., Record], objects: tuple[int, ...], transformed: bool) -> Iterator[Record]:
        """What the scores do not say: when objects were given, how sure the model was, what the transformation did."""
        for number in objects:
            if number in self.given:
                frame, pixels = self.given[number]
                yield record(metric="prompt_px", object=number, frame=frame, value=float(pixels))
            else:
                yield record(metric="prompt_px", object=number, state="never shown")
        for t, scores in enumerate(self.scores):
            for number, logit in scores.items():
                yield record(metric="object_score_logit", frame=t, object=number, value=logit)
        for t, (strength, source_time) in enumerate(self.facts if transformed else ()):
            known = strength is not None and math.isfinite(strength)
            yield record(metric="strength", frame=t, **({"value": strength} if known else {"state": "undefined"}))
            there = {"state": "foreign"} if source_time is None else {"value": float(source_time)}
            yield record(metric="source_time", frame=t, **there)
