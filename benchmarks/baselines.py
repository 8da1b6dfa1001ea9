"""How far one gets without a model: two methods which every tracker has to beat.

    python benchmarks/baselines.py --dataset DIR [--json FILE]

`copy` keeps the first mask where it is. `flow` moves it along with dense optical flow (DIS, Kroeger et al., ECCV 2016)
from frame to frame. DIR holds JPEGImages and Annotations in the layout of DAVIS.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from _davis_options import add_davis_options, dataset_of
from _table import Result, Timed, print_table, rows_of, write_record
from maskscope.data.davis import DavisSequence
from maskscope.errors import MaskscopeError
from maskscope.evaluate.protocol import PROTOCOLS, Protocol, evaluate_sequence

Labels = NDArray[np.uint8]
Method = Callable[[DavisSequence], Iterator[Labels]]


def first_mask(sequence: DavisSequence) -> Labels:
    """The given mask with nothing but objects on it."""
    labels = sequence.masks(0)
    return np.where(np.isin(labels, sequence.object_ids), labels, 0).astype(np.uint8)


def copy_first_mask(sequence: DavisSequence) -> Iterator[Labels]:
    """The first mask on every frame."""
    mask = first_mask(sequence)
    for _ in range(sequence.num_frames):
        yield mask


def warp_by_flow(sequence: DavisSequence) -> Iterator[Labels]:
    """Each frame's labels fetched from the frame before, from where the flow says each pixel was."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = sequence.size
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    mask = first_mask(sequence)
    before = cv2.cvtColor(sequence.frame(0), cv2.COLOR_RGB2GRAY)
    yield mask
    for index in range(1, sequence.num_frames):
        now = cv2.cvtColor(sequence.frame(index), cv2.COLOR_RGB2GRAY)
        back = flow.calc(now, before, None)  # type: ignore[call-overload]  # None: start from no motion
        fetched = cv2.remap(mask, columns + back[..., 0], rows + back[..., 1], cv2.INTER_NEAREST)
        mask = np.asarray(fetched, dtype=np.uint8)
        before = now
        yield mask


METHODS: Mapping[str, Method] = {"copy": copy_first_mask, "flow": warp_by_flow}


def run(method: Method, sequence: DavisSequence, protocol: Protocol) -> Result:
    predictions = Timed(method(sequence))
    truths = (sequence.masks(index) for index in range(sequence.num_frames))
    score = evaluate_sequence(predictions, truths, protocol)
    return Result(sequence.name, score, predictions.count, predictions.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_davis_options(parser)
    options = parser.parse_args()
    try:
        dataset = dataset_of(options)
        tables = {}
        for name, method in METHODS.items():
            sequences = tqdm(dataset, desc=name, unit="sequence", disable=None, leave=False)
            tables[name] = rows_of([run(method, sequence, PROTOCOLS[options.protocol]) for sequence in sequences])
            print_table(f"{name} ({options.protocol} protocol; fps: reading frames and predicting)", tables[name])
        if options.json:
            write_record(options.json, "baselines without a model", options.protocol, tables)
    except MaskscopeError as error:
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
