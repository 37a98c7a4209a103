"""``quoted``, read back by hydra's own parser."""

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from planned_runs import planned

from verl_hdpo.runs.quoted import quoted


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1))
def test_hydra_reads_what_was_quoted(text):
    (read,) = OverridesParser.create().parse_overrides([f"key={quoted(text)}"])
    assert str(read.value()) == text


def test_ordinary_paths_stay_as_they_are():
    assert quoted("/runs/a-1/step_2.5@x") == "/runs/a-1/step_2.5@x"


def test_a_comparison_may_have_any_folder(tmp_path):
    folder = tmp_path / "lr=1e-5 (it's the second, {half})"
    for run in planned(folder):
        found = {part.key_or_group: part.value() for part in OverridesParser.create().parse_overrides(run.arguments)}
        assert str(found["trainer.default_local_dir"]).startswith(f"{folder}/")
