"""Recipes: how they are written, what their digest depends on, and what chains do to frames."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import moving_disc_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_families import Tint, use_tiny_families

from maskscope.errors import DatasetError, SettingError
from maskscope.transforms import registry
from maskscope.transforms.base import ClipFrame
from maskscope.transforms.chain import (
    Recipe,
    chain_digest,
    chain_text,
    parameters,
    parse_chain,
    strengths,
    transform,
)
from maskscope.transforms.material import ProceduralMaterial

MATERIAL = ProceduralMaterial()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_families(monkeypatch)


class TestWords:
    @pytest.mark.parametrize(
        ("text", "recipe"),
        [
            ("occlusion:3", Recipe("occlusion", 3)),
            ("occlusion/pass:3@7", Recipe("occlusion", 3, 7, "pass")),
            (" illumination/exposure-ramp:0 ", Recipe("illumination", 0, 0, "exposure-ramp")),
            ("speed@12:4", None),
        ],
    )
    def test_parse(self, text: str, recipe: Recipe | None) -> None:
        if recipe is None:
            with pytest.raises(SettingError, match=r"is not FAMILY\[/VARIANT\]"):
                Recipe.parse(text)
        else:
            assert Recipe.parse(text) == recipe

    def test_what_the_text_leaves_out_is_given(self) -> None:
        assert Recipe.parse("speed", 2, 9) == Recipe("speed", 2, 9)
        assert Recipe.parse("speed:4@0", 2, 9) == Recipe("speed", 4, 0)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("speed", "has no severity"),
            ("speed:6", "severity 6 of speed is out of range"),
            ("speed:-1", "severity -1 of speed is out of range"),
            ("speed:2@-4", "seed -4 of speed is negative"),
            ("speed:two", "is not FAMILY"),
            ("", "is not FAMILY"),
            ("a+b:3", "is not FAMILY"),
        ],
    )
    def test_refused(self, text: str, says: str) -> None:
        with pytest.raises(SettingError, match=says):
            Recipe.parse(text)

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(
            st.builds(
                Recipe,
                st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True),
                st.integers(0, 5),
                st.integers(0, 2**63),
                st.none() | st.from_regex(r"[a-z0-9_-]{1,9}", fullmatch=True),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def test_text_and_recipes_are_the_same(self, recipes: list[Recipe]) -> None:
        assert parse_chain(chain_text(recipes)) == tuple(recipes)


class TestDigest:
    def test_everything_counts(self, tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
        recipes = [
            Recipe("tint", 3),
            Recipe("tint", 4),
            Recipe("tint", 3, 1),
            Recipe("tint", 3, 0, "faint"),
            Recipe("cut", 3),
        ]
        digests = [recipe.digest for recipe in recipes]
        assert len(set(digests)) == len(recipes)
        assert all(len(digest) == 64 for digest in digests)
        monkeypatch.setattr("tiny_families.TINT", Tint(table={s: {"levels": 11 * s} for s in range(1, 6)}))
        assert Recipe("tint", 3).digest != digests[0], "another table"
        monkeypatch.undo()
        use_tiny_families(monkeypatch)
        assert Recipe("tint", 3).digest == digests[0]
        monkeypatch.setattr(registry, "version", lambda package: "99.0")
        assert Recipe("tint", 3).digest != digests[0], "another version"

    def test_order_and_material_count(self, tiny: None) -> None:
        one, two = Recipe("tint", 3), Recipe("cut", 1)
        digests = {chain_digest(*arguments) for arguments in (([one],), ([one, two],), ([two, one],), ([one], "clips"))}
        assert len(digests) == 4

    def test_every_process_says_the_same(self, tiny: None) -> None:
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); from maskscope.transforms import registry;"
            "registry.BUILT_IN = {'tint': 'tiny_families:TINT'};"
            "from maskscope.transforms.chain import Recipe; print(Recipe('tint', 3, 5, 'faint').digest)"
        )
        folder = str(Path(__file__).parent)
        said = subprocess.run([sys.executable, "-c", code, folder], check=True, capture_output=True, text=True)
        assert said.stdout.strip() == Recipe("tint", 3, 5, "faint").digest

    def test_unknown_family(self, tiny: None) -> None:
        with pytest.raises(SettingError, match="did you mean tint"):
            _ = Recipe("tnit", 3).digest


class TestTransform:
    def test_links_follow_each_other(self, tiny: None) -> None:
        clip = moving_disc_clip(4)
        changed = transform(clip, parse_chain("tint:1+cut:2+tint:2"), MATERIAL)
        assert (changed.num_frames, changed.size) == (6, clip.size)
        assert changed.name == "disc@tint:1@cut:2@tint:2"
        assert (changed.at(1).image_hwc == 128 + 20).all(), "foreign frames see what comes after them only"
        np.testing.assert_array_equal(changed.at(4).image_hwc, clip.at(2).image_hwc + np.uint8(30))
        assert changed.at(4).source_time == 2.0
        assert [one.get("levels", one.get("foreign_frames")) for one in parameters(changed)] == [10, 2, 20]

    def test_severity_0_changes_no_byte(self, tiny: None) -> None:
        clip = moving_disc_clip(3)
        frame = transform(clip, [Recipe("tint", 0), Recipe("cut", 0)], MATERIAL).at(1)
        assert frame.image_hwc is clip.at(1).image_hwc
        assert frame.visible_hw is clip.at(1).visible_hw
        assert frame.strengths == (0.0, 0.0)

    def test_draws_do_not_depend_on_other_families_but_on_repetition(self, tiny: None) -> None:
        clip = moving_disc_clip(3)

        def drawn(text: str) -> list[object]:
            return [one["drawn"] for one in parameters(transform(clip, parse_chain(text), MATERIAL)) if "drawn" in one]

        (alone,) = drawn("tint:3@4")
        assert drawn("cut:5+tint:2@4") == [alone]
        assert drawn("tint:3@5") != [alone]
        assert drawn("tint:3@4+cut:1+tint:3@4")[0] == alone
        assert drawn("tint:3@4+cut:1+tint:3@4")[1] != alone

    def test_strengths_are_those_of_their_links(self, tiny: None) -> None:
        changed = transform(moving_disc_clip(3), parse_chain("tint:1+cut:1+tint:2"), MATERIAL)
        assert strengths(changed.at(0), 3) == [10.0, 0.0, 20.0]
        foreign = strengths(changed.at(1), 3)
        assert foreign[0] is None, "that link never saw the foreign frame"
        assert foreign[2] == 20.0
        assert strengths(ClipFrame(*(changed.at(0).image_hwc,) * 3), 2) == [None, None]

    def test_it_can_be_sent_to_other_processes(self, tiny: None) -> None:
        changed = transform(moving_disc_clip(3), parse_chain("tint:1+cut:1"), MATERIAL)
        again = pickle.loads(pickle.dumps(changed))
        for t in range(changed.num_frames):
            np.testing.assert_array_equal(again.at(t).image_hwc, changed.at(t).image_hwc)

    def test_refused(self, tiny: None) -> None:
        clip = moving_disc_clip(3)
        with pytest.raises(SettingError, match="no transformation is named"):
            transform(clip, [], MATERIAL)
        clip.labels[0][:] = 0
        with pytest.raises(DatasetError, match="disc shows no object"):
            transform(clip, [Recipe("tint", 1)], MATERIAL)
