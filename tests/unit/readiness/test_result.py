"""A readiness result goes to JSON and back, and refuses what is not one."""

import json

import pytest

from made_up_readiness import made_up_readiness, too_short
from maskscope.errors import RecordError
from maskscope.readiness.figure import Figure
from maskscope.readiness.parts import MEASURES
from maskscope.readiness.result import ReadinessResult


@pytest.mark.parametrize("truth", ["given", "clean run"])
def test_a_result_comes_back_from_its_file(tmp_path, truth):
    result = too_short(made_up_readiness(truth))
    result.write(tmp_path / "readiness.json")
    assert ReadinessResult.read(tmp_path / "readiness.json") == result


def test_a_result_of_the_format_before_is_read_and_its_limits_get_room():
    now = made_up_readiness()
    plain = now.to_json()
    for sweep in plain["sweeps"]:
        del sweep["advised"]
        sweep["sentence"]["values"].pop("advised", None)
        kind = {"room": "limit", "tight": "limit", "ample": "holds"}[sweep["sentence"]["key"].partition(".")[2]]
        sweep["sentence"]["key"] = f"{sweep['axis']}.{kind}"
    earlier = ReadinessResult.from_json(plain | {"format": "maskscope.readiness/2"})
    assert earlier == now
    with pytest.raises(RecordError, match="compute it again"):
        ReadinessResult.from_json({"format": "maskscope.readiness/2", "sweeps": None})


def test_figures_are_found_by_name_and_advice_cites_them():
    result = made_up_readiness()
    figures = result.figures()
    assert figures["frame_rate.limit"].value == 20.8
    assert {name for advice in result.plan for name in (*advice.cites, advice.opens) if name} <= set(figures)
    assert {each.measure for each in result.picture} == set(MEASURES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other/1"}, "other/1"),
        ({"verdict": "never"}, "verdict is 'never', expected one of now, mitigate, wait"),
        ({"passes": "many"}, "passes"),
        ({"more": 1}, "other fields than expected: more"),
        ({"sweeps": {}}, "sweeps"),
    ],
)
def test_another_file_is_refused_in_a_line(tmp_path, change, said):
    path = tmp_path / "readiness.json"
    path.write_text(json.dumps(made_up_readiness().to_json() | change))
    with pytest.raises(RecordError, match=said):
        ReadinessResult.read(path)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(RecordError, match="cannot be read"):
        ReadinessResult.read(tmp_path / "x.json")
    with pytest.raises(RecordError, match=r"there is no .*none\.json; give readiness\.json of an earlier run"):
        ReadinessResult.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": float("nan")},
        {"value": 1.0, "high": float("inf")},
        {"value": None},
        {"value": 1.0, "state": "lost"},
        {"value": 1.0, "unit": "furlongs"},
    ],
)
def test_a_figure_is_finite_has_a_unit_and_says_why_it_is_missing(wrong):
    with pytest.raises(RecordError):
        Figure(**{"name": "x", "unit": "share", **wrong})
