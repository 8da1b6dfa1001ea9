"""One job of the diagnosis of a data set: one clip as it is and under every transformation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maskscope.data.label_maps import object_labels
from maskscope.errors import DatasetError
from maskscope.records import Record, read_records
from maskscope.studies.clip_means import clip_means
from maskscope.studies.diagnose import DiagnoseOptions, diagnose_clip
from maskscope.studies.diagnosis_folder import DiagnosisFolder
from maskscope.studies.jobs import Stopped, Tick
from maskscope.studies.looked_at import LookedAt, look_at
from maskscope.studies.observe import ObserveOptions
from maskscope.studies.stress_clip import ModelSpec
from maskscope.transforms.chain import Recipe


@dataclass(frozen=True)
class ClipDiagnosis:
    """Work of one job. All transformations share one clean run, which they are compared with.

    Attributes:
        dataset: its folder.
        sequence: name of the clip.
        max_frames: at most so many are looked at; None is all of them.
        recipes: of the transformations; those that cannot be made of this clip are left out.
        model: that tracks.
        policy: of its memory.
        intervene: find the stage to blame.
        folder: where the clip's own diagnosis goes, its page and all its records; what an earlier one left is replaced.
        reverse: also put the disturbed activations into the clean run, see `DiagnoseOptions`.
        ablate: also track the clip as it is without each source of memory.
    """

    dataset: Path
    sequence: str
    max_frames: int | None
    recipes: tuple[Recipe, ...]
    model: ModelSpec
    policy: str
    intervene: bool
    folder: Path
    reverse: bool = False
    ablate: bool = True

    def __call__(self, run: str, tick: Tick) -> Iterator[Record]:
        """Rows of the clip without frames, see `clip_means`.

        Raises:
            DatasetError: it cannot be read, or no transformation can be made of it.
            PromptError: its first frame shows no object that can be given.
        """
        clip = self._clip()
        spec = self.model
        observe = ObserveOptions(spec.name, self.policy, spec.device, spec.precision, spec.image_size)
        options = DiagnoseOptions(
            observe,
            tuple(map(str, self.recipes)),
            intervene=self.intervene,
            reverse=self.reverse,
            ablate=self.ablate,
            cells=cells_name(run),
        )
        stopped: list[Stopped] = []

        def stop() -> bool:
            try:
                tick()
            except Stopped as signal:
                stopped.append(signal)
            return bool(stopped)

        summary = diagnose_clip(
            clip, clip.prompts(), self.folder, options, model=spec.load(), overwrite=True, stop=stop
        )
        if stopped:
            raise stopped[0]
        if self.recipes and not any(each.family for each in summary.conditions):
            raise DatasetError(f"no transformation can be made of {self.sequence}: {' '.join(summary.notes)}")
        return clip_means(read_records(DiagnosisFolder(self.folder).records), run)

    def _clip(self) -> LookedAt:
        """From the first frame that shows an object; objects that come later are not followed."""
        clip = look_at(self.dataset, sequence=self.sequence)
        start = next((t for t in range(clip.num_frames) if object_labels(clip.masks(t))), 0)
        return look_at(self.dataset, sequence=self.sequence, start=start, max_frames=self.max_frames)


def cells_name(run: str) -> str:
    """File in the clip's folder, of one run: an earlier run's cells are none of this one's."""
    return f"cells-{run[:16]}.npz"
