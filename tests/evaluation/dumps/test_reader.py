"""What runs leave on disk, read as rollouts."""

import json

import pyarrow
import pytest
from dumps import BARE, note, write_dump, write_notes
from pyarrow import parquet

from verl_hdpo.evaluation.dumps.lines import RolloutsError
from verl_hdpo.evaluation.dumps.reader import read_rollouts, read_steps
from verl_hdpo.evaluation.record import Record, RecordFile

DIRECT = "<answer>Lima</answer>"


def read(path, **given):
    return read_rollouts(path, **given).rollouts


def test_verls_dump_alone_says_what_was_said_and_the_score(tmp_path):
    write_dump(tmp_path, 3, [("u_0_0", BARE, 1.0), ("u_1_0", DIRECT, 0.0), ("v_0_0", DIRECT, 1.0)])
    called, direct, other = read(tmp_path)
    assert called.prompt[0].text == "What is the capital of Peru?"
    assert [turn.role for turn in called.turns] == ["assistant", "tool", "assistant"]
    assert (called.calls, called.counted, called.tools) == (1, "text", ("search",))
    assert (called.outcome, called.verdict, called.reward, called.accuracy) == ("correct", "score", 1.0, None)
    assert (direct.outcome, direct.calls) == ("wrong", 0)
    assert called.group == direct.group != other.group
    assert [one.number for one in (called, direct, other)] == [0, 1, 0]
    assert (called.phase, called.step, called.reference) == ("train", 3, "Lima")
    assert called.advantage is None
    assert len({one.id for one in (called, direct, other)}) == 3


def test_what_the_trainer_adds_goes_before_what_the_text_shows(tmp_path):
    dump = write_dump(tmp_path, 1, [("u_0_0", "not read", 1.0)])
    write_notes(dump, [note("u_0_0")])
    (one,) = read(tmp_path)
    assert one.prompt[0].text == "What is the capital of Peru?"
    assert [turn.text for turn in one.turns] == ["I look.", "Lima", DIRECT]
    (call,) = one.turns[0].calls
    assert (call.name, call.status, call.seconds) == ("search", "executed", 0.5)
    assert (one.calls, one.counted, one.ledger.rounds) == (1, "ledger", 1)
    assert (one.source, one.outcome, one.verdict, one.answer) == ("capitals", "correct", "exact", "Lima")
    assert (one.r_acc, one.r_tool, one.advantage, one.tool_advantage) == (1.0, 0.5, 0.5, -0.7)
    assert one.estimator == "hdpo"


def test_calls_that_never_ran_are_those_of_the_loop_and_not_of_the_text(tmp_path):
    dump = write_dump(tmp_path, 1, [("u_0_0", BARE, 1.0)])
    log = [{"turn": 0, "name": "search", "arguments": "{}", "status": "dropped"}]
    write_notes(dump, [note("u_0_0", call_log=log, calls=0)])
    (one,) = read(tmp_path)
    assert [call.status for call in one.turns[0].calls] == ["dropped"]
    assert one.calls == 0


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"known": False, "correct": False, "verdict": "judge_error"}, "unknown"),
        ({"known": False, "correct": False, "verdict": "lost", "lost": "TimeoutError"}, "lost"),
        ({"known": True, "correct": False}, "wrong"),
    ],
)
def test_an_outcome_that_is_not_known_is_never_read_as_wrong(tmp_path, told, outcome):
    dump = write_dump(tmp_path, 1, [("u_0_0", DIRECT, 0.0)])
    write_notes(dump, [note("u_0_0", **told)])
    (one,) = read(tmp_path)
    assert one.outcome == outcome
    assert one.known == (outcome == "wrong")
    assert any(turn.text for turn in one.turns) == (outcome != "lost")


def test_a_validation_says_what_its_reward_reported_and_the_trainer_adds_the_source(tmp_path):
    infos = {
        "reward": [0.0, 1.0, 0.0],
        "acc": [0.0, 1.0, 0.0],
        "outcome_known": [0.0, 1.0, 1.0],
        "outcome_source": ["judge_error", "exact", "no_answer"],
        "tool_calls": [2.0, 0.0, 0.0],
        "tool_reward": [0.0, 1.0, 0.0],
        "judge_calls": [1.0, 0.0, 0.0],
    }
    rows = [("u_0_0", BARE, 0.0), ("u_1_0", DIRECT, 1.0), ("v_0_0", "no", 0.0)]
    write_notes(write_dump(tmp_path, 8, rows, infos), [{"uid": "u", "data_source": "capitals"}])
    unknown, right, wrong = read(tmp_path)
    assert [one.outcome for one in (unknown, right, wrong)] == ["unknown", "correct", "wrong"]
    assert [one.phase for one in (unknown, right, wrong)] == ["validation"] * 3
    assert [one.source for one in (unknown, right, wrong)] == ["capitals", "capitals", ""]
    assert (unknown.calls, unknown.counted) == (2, "report")
    assert (right.r_tool, right.verdict) == (1.0, "exact")
    assert unknown.extras["judge_calls"] == 1.0


def test_of_several_outputs_the_last_is_read_and_padding_is_none(tmp_path):
    rows = [("u_0_0", "first", 1.0), ("u_0_10", "last", 1.0), ("u_0_9", "middle", 1.0), ("u_1_0", "other", 1.0)]
    write_dump(tmp_path, 1, [*rows, (f"pad{'0' * 32}_0_0", "", 0.0)])
    assert [one.turns[0].text for one in read(tmp_path)] == ["last", "other"]


def test_a_dump_without_keys_is_grouped_by_its_prompts(tmp_path):
    rows = [{"input": prompt, "output": "4", "score": 1.0, "step": 1} for prompt in ("a", "b", "a")]
    (tmp_path / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, other = read(tmp_path)
    assert first.group == second.group != other.group
    assert first.prompt[0].text == "a"


def test_eval_records_with_all_arms_of_a_question_in_one_group(tmp_path):
    file = RecordFile(tmp_path / "base" / "records.jsonl", {"model": "m", "ban_calls": False})
    file.add(Record("free", 0, 0, "capitals", 1, True, BARE))
    file.add(Record("without", 0, 0, "capitals", 0, None, DIRECT))
    file.add(Record("without", 0, 0, "capitals", 0, True, DIRECT))  # asked again
    file.add(Record("free", 1, 0, "capitals", 0, False, "Quito"))
    called, without, wrong = read(tmp_path)
    assert (called.phase, called.outcome, called.calls, called.step) == ("eval", "correct", 1, None)
    assert called.group == without.group != wrong.group
    assert [one.outcome for one in (without, wrong)] == ["correct", "wrong"]
    assert called.extras["arm"] == "free"


def test_a_run_in_progress_is_read_up_to_the_line_at_work(tmp_path):
    dump = write_dump(tmp_path, 1, [("u_0_0", BARE, 1.0), ("u_1_0", BARE, 1.0)])
    dump.write_text(dump.read_text()[:-20])
    write_notes(dump, [note("u_0_0")]).open("a").write('{"uid": "u_1_0", "know')
    (one,) = read(tmp_path)
    assert one.estimator == "hdpo"


def test_folders_in_folders_in_the_order_of_steps_and_a_choice_of_steps(tmp_path):
    for step in (10, 9, 100):
        write_dump(tmp_path / "hdpo" / "rollouts", step, [(f"u{step}_0_0", DIRECT, 1.0)])
    assert [one.step for one in read(tmp_path)] == [9, 10, 100]
    assert [one.step for one in read(tmp_path, steps=read_steps("10:"))] == [10, 100]
    assert [one.step for one in read(tmp_path, steps=read_steps("9"))] == [9]
    with pytest.raises(RolloutsError, match="no rollouts of the steps 11:99"):
        read(tmp_path, steps=read_steps("11:99"))


@pytest.mark.parametrize("text", ["", ":", "a", "1:2:3", "-1"])
def test_steps_that_are_none(text):
    with pytest.raises(RolloutsError, match="such as 12"):
        read_steps(text)


def test_what_is_not_read_is_told(tmp_path):
    with pytest.raises(RolloutsError, match="does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(RolloutsError, match=r"no \.jsonl file"):
        read(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(RolloutsError, match=r"metrics\.jsonl is of no known format; known: verl's dump.*; found: loss"):
        read(tmp_path)
    write_dump(tmp_path, 1, [("u_0_0", DIRECT, 1.0)])
    assert [path.name for path in read_rollouts(tmp_path).passed_over] == ["metrics.jsonl"]
    (tmp_path / "1.jsonl").write_text('{"input": "", "output": "", "score": 1}\nnonsense\n{}\n')
    with pytest.raises(RolloutsError, match=r"1\.jsonl, line 2 is not valid JSON"):
        read(tmp_path)


def test_rollouts_that_share_a_key_or_a_file_s_stem_have_ids_of_their_own(tmp_path):
    rows = [{"input": "a", "output": str(at), "score": 1.0, "step": 1, "uid": "prompt"} for at in range(3)]
    (tmp_path / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"step": [1], "prompt": ["a"], "completion": ["4"], "accuracy": [1.0], "advantage": [0.0]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "1.parquet")
    found = read(tmp_path)
    assert [one.id for one in found] == ["1.jsonl:prompt", "1.jsonl:prompt~2", "1.jsonl:prompt~3", "1.parquet:1"]
    assert [one.group for one in found[:3]] == ["1.jsonl:prompt"] * 3
    assert found[3].group not in {one.group for one in found[:3]}
