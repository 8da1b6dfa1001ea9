"""Which sequences of a folder in the layout of DAVIS, and which frames of them count: options of several benchmarks."""

from __future__ import annotations

import argparse
from pathlib import Path

from maskscope.data.davis import DavisDataset
from maskscope.evaluate.protocol import DAVIS, PROTOCOLS


def add_davis_options(parser: argparse.ArgumentParser) -> None:
    """`--dataset`, `--split`, `--single-object`, `--protocol`, and `--json` for the record."""
    parser.add_argument("--dataset", type=Path, required=True, metavar="DIR", help="folder in the layout of DAVIS")
    parser.add_argument("--split", help='list under ImageSets, such as "2017/val"; default: every sequence')
    parser.add_argument("--single-object", action="store_true", help="merge all objects into one, as DAVIS 2016 does")
    parser.add_argument("--protocol", choices=PROTOCOLS, default=DAVIS.name, help="which frames count")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as a record")


def dataset_of(options: argparse.Namespace) -> DavisDataset:
    """The data set that the options name.

    Raises:
        DatasetError: it is none.
    """
    return DavisDataset(options.dataset, single_object=options.single_object, split=options.split)
