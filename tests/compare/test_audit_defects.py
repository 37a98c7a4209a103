"""Defects planted in dumps of three frameworks are found, and nothing else is."""

import pytest
from dumps import BARE, note, write_dump, write_notes
from planted import SCENES, UNSAYABLE, WRITERS, clean

from verl_hdpo.compare.audit.run import audit
from verl_hdpo.evaluation.dumps.reader import read_rollouts

PLANTED = [(writer, kind) for writer in WRITERS for kind in SCENES if (writer, kind) not in UNSAYABLE]


def kinds(path):
    return {defect.kind: defect for defect in audit(path, "grpo").defects}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_clean_dump_has_no_defect(writer, tmp_path):
    assert kinds(WRITERS[writer](clean(), tmp_path)) == {}


@pytest.mark.parametrize(("writer", "kind"), PLANTED)
def test_a_planted_defect_is_found_and_no_other(writer, kind, tmp_path):
    path = WRITERS[writer](SCENES[kind](), tmp_path)
    found = kinds(path)
    assert set(found) == {kind}
    ids = {one.id for one in read_rollouts(path).rollouts}
    assert set(found[kind].examples) <= ids
    if kind not in ("constant format reward", "reward follows length"):
        assert found[kind].count == len(found[kind].examples) == 1


def test_what_hdpo_left_out_of_the_loss_is_no_defect_and_the_same_under_grpo_is(tmp_path):
    """A lost rollout and one of unknown outcome have no advantage in a run of this package."""
    dump = write_dump(tmp_path, 1, [("u_0_0", BARE, 0.0), ("u_1_0", BARE, 0.0), ("u_2_0", BARE, 1.0)])
    out = {"advantage": 0.0, "tool_advantage": 0.0, "known": False, "correct": False}
    for estimator, expected in (("hdpo", set()), ("grpo", {"failure trained", "unknown outcome scored"})):
        notes = [note("u_0_0", lost="TimeoutError", **out), note("u_1_0", **out), note("u_2_0")]
        write_notes(dump, [{**one, "estimator": estimator} for one in notes])
        assert set(kinds(tmp_path)) == expected


def test_a_tool_that_was_down_is_no_wrong_answer(tmp_path):
    dump = write_dump(tmp_path, 1, [("u_0_0", BARE, 0.0), ("u_1_0", BARE, 1.0)])
    down = note("u_0_0", correct=False, estimator="grpo")
    down["ledger"]["unavailable"] = 1
    write_notes(dump, [down, note("u_1_0")])
    found = kinds(tmp_path)
    assert found["failure trained"].examples == ("1:u_0_0",)


def test_calls_that_the_loop_dropped_are_not_counted_and_no_defect(tmp_path):
    dump = write_dump(tmp_path, 1, [("u_0_0", BARE, 1.0), ("u_1_0", BARE, 0.0)])
    write_notes(dump, [note("u_0_0"), note("u_1_0")])
    assert "calls that never ran" not in kinds(tmp_path)


def test_validations_are_not_trained_on_and_groups_of_one_are_none_of_theirs(tmp_path):
    write_dump(tmp_path / "validation", 1, [("u_0_0", BARE, 0.0)], {"reward": [0.0]})
    assert kinds(tmp_path) == {}
    write_dump(tmp_path / "train", 1, [("v_0_0", BARE, 0.0), ("v_1_0", "<answer>Lima</answer>", 1.0)])
    found = audit(tmp_path, "grpo")
    assert (found.validations, found.defects) == (1, ())
    assert sum(source.rollouts for source in found.sources) == 2


def test_a_row_that_was_written_twice_is_read_twice_however_short(tmp_path):
    write_dump(tmp_path, 1, [("u_0_0", "4", 0.0), ("u_1_0", BARE, 1.0), ("u_1_0", BARE, 1.0)])
    assert [one.id for one in read_rollouts(tmp_path).rollouts] == ["1:u_0_0", "1:u_1_0", "1:u_1_0~3"]
    assert kinds(tmp_path)["duplicated rollouts"].examples == ("1:u_1_0~3",)
