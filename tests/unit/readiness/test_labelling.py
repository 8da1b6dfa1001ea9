"""Labelling time: from the study's digest, and silent without one."""

import pytest

from maskscope.errors import RecordError
from maskscope.readiness.labelling import bundled_study, labelling_time, study_of

DIGEST = {"clips": ["a", "b", "c"], "curves": {"label-next": {"0": 0.6, "2": 0.7, "4": 0.69}}}


def test_the_number_that_helped_most_is_taken():
    study = study_of(DIGEST, "python x")
    assert (study.labels, study.clips, study.before, study.after) == (2 + 3, 3, 0.6, 0.7)
    assert labelling_time(study).value == pytest.approx(5 * 37.8)


def test_without_gain_or_study_there_is_no_number():
    vain = study_of({"clips": ["a"], "curves": {"label-next": {"0": 0.6, "2": 0.6}}}, "")
    assert labelling_time(vain).state == "labels did not help in the labelling study"
    assert labelling_time(None).state == "labelling was not measured on this clip"


def test_the_package_brings_a_study():
    bundled = bundled_study()
    assert bundled is not None
    assert labelling_time(bundled).value == pytest.approx(37.8 * bundled.labels)


@pytest.mark.parametrize("digest", [None, {}, {"clips": [], "curves": {"label-next": {"1": 0.5}}}])
def test_another_file_is_refused(digest):
    with pytest.raises(RecordError, match="no digest"):
        study_of(digest, "")
