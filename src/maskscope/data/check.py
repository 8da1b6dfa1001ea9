"""Everything that is wrong with a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from maskscope.data.dataset import Dataset
from maskscope.data.problems import Problem

Result = TypeVar("Result")


def check_dataset(dataset: Dataset, threads: int | None = None) -> Iterator[list[Problem]]:
    """Read all files and yield findings: first those of the data set as a whole, then each sequence's, in order.

    Args:
        dataset: an open one.
        threads: how many sequences to read at a time; None for as many as there are processors, 8 at most.
    """
    yield dataset.check_layout()
    yield from in_threads(dataset.check, list(dataset.sequences), threads)


def in_threads(work: Callable[[str], Result], names: list[str], threads: int | None = None) -> Iterator[Result]:
    """Results of independent work on sequences, in order; decoding images runs beside other Python code.

    Args:
        work: called with one name.
        names: of the sequences.
        threads: None for as many as there are processors, 8 at most.
    """
    pool = ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1))
    try:
        yield from pool.map(work, names)
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, or Ctrl-C, the rest is not waited for
