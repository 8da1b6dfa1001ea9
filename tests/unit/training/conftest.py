"""What the tests of training share: a small training root, decoded once."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskscope.training.corpus import Corpus, open_corpus
from training_data import make_root


@pytest.fixture(scope="session")
def training_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_root(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def corpus(training_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(training_root, tmp_path_factory.mktemp("cache"))
