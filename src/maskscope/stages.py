"""The five observation positions of the analysis, in the order a frame passes them.

Data only, imports nothing: the model's outputs, reports, colours and documentation derive their names from here.
Source: Bromley et al., arXiv 2503.00042, "five positions of the architecture".
"""

from __future__ import annotations

from typing import Final, Literal

Stage = Literal["image_embedding", "memory_conditioned", "prompt_attended", "object_pointer", "memory_features"]

STAGES: Final[tuple[Stage, ...]] = (
    "image_embedding",  # after the image encoder, before any memory
    "memory_conditioned",  # after memory attention
    "prompt_attended",  # image tokens after the mask decoder's two-way attention
    "object_pointer",  # the vector that stands for the object in time
    "memory_features",  # what is written back to the memory bank
)
