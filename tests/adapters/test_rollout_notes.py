"""From verl's tool loop through a real TransferQueue to the files of a dump, and read back."""

import base64
from io import BytesIO
from types import SimpleNamespace

import pytest
import torch
import transfer_queue as tq
from bare_trainer import make_trainer
from batches import Row, put
from PIL import Image
from scripted_loop import FINAL, call, function_tool, run_loop, trainer_config
from tiny import tiny_tokenizer
from transfer_queue import KVBatchMeta
from verl.experimental.agent_loop.tool_parser import FunctionCall
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from verl_hdpo.adapters.call_log import CALL_LOG_KEY, CallLog
from verl_hdpo.adapters.thumbnail import SIDE, thumbnail
from verl_hdpo.evaluation.dumps.reader import read_rollouts

pytestmark = [pytest.mark.usefixtures("transfer_queue"), pytest.mark.slow]
PROMPT = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "2+2?"}, {"type": "image", "image": Image.new("RGB", (2000, 9))}],
    }
]


async def add(x):
    return f"it is {int(x) + 2}"


def rollout(texts, acc, **given):
    """A trajectory of the loop, as verl's agent-loop worker hands it to TransferQueue."""
    output, _, _ = run_loop(texts, [function_tool(add)], **given)
    known = acc is not None
    info = {"acc": acc or 0.0, "outcome_known": float(known), "outcome_source": "exact", "accuracy_reward": acc or 0.0}
    output.extra_fields["reward_extra_info"] = info
    scores = torch.zeros(len(output.response_ids))
    scores[-1] = acc or 0.0
    return {**output.as_dict(), "rm_scores": scores}


def trained(tmp_path, rollouts, *overrides, **given):
    """The rollouts as ``look`` reads them, after a step of training on them in one group."""
    folder = tmp_path / "dump"
    trainer = make_trainer(f"trainer.rollout_data_dir={folder}", *overrides, **given)
    trainer.tokenizer, trainer.global_steps = tiny_tokenizer(), 7
    trainer._init_dump_executor()
    rows = [
        {
            **row,
            "uid": "u",
            "loss_mask": row["response_mask"],
            "old_log_probs": torch.zeros(len(row["responses"])),
            "data_source": "sums",
            "reward_model": {"ground_truth": "4"},
            "raw_prompt": PROMPT,
        }
        for row in rollouts
    ]
    keys = [f"u_{session}_0" for session in range(len(rows))]
    fields = list_of_dict_to_tensordict(rows)
    tq.kv_batch_put(keys=keys, partition_id="train", fields=fields, tags=[{} for _ in keys])
    try:
        batch = KVBatchMeta(keys=keys, tags=[{} for _ in keys], partition_id="train", fields=sorted(fields.keys()))
        batch = trainer._compute_advantage(batch, {})
        trainer._log_rollout_data(batch, {}, str(folder))
        trainer._shutdown_dump_executor()
        return read_rollouts(folder).rollouts
    finally:
        tq.kv_clear(keys=keys, partition_id="train")


def dumped(texts, acc):
    return rollout(texts, acc, dumped=True)


@pytest.fixture(autouse=True)
def _dumping_loop(monkeypatch):
    """The config of the scripted loop with ``trainer.rollout_data_dir``, where a test asks for it."""

    def config(dumped=False, **given):
        made = trainer_config(**given)
        made.trainer = {"rollout_data_dir": "somewhere" if dumped else None}
        return made

    monkeypatch.setattr("scripted_loop.trainer_config", config)


def test_a_dump_says_why_one_rollout_went_up_and_another_down(tmp_path):
    called, direct, wrong, unknown = trained(
        tmp_path,
        [
            dumped([f"Let me add.{call('add', '2')}", FINAL], 1.0),
            dumped([FINAL], 1.0),
            dumped([call("gone"), "<answer>5</answer>"], 0.0),
            dumped([FINAL], None),
        ],
    )
    assert [one.outcome for one in (called, direct, wrong, unknown)] == ["correct", "correct", "wrong", "unknown"]
    assert [one.calls for one in (called, direct, wrong, unknown)] == [1, 0, 1, 0]
    assert [(turn.role, turn.text) for turn in called.turns] == [
        ("assistant", "Let me add."),
        ("tool", "it is 4"),
        ("assistant", FINAL),
    ]
    # acc (1, 1, 0): mean 2/3, std .577; r_tool (1/2, 1) over the two correct: mean 3/4, std .354
    assert [round(one.advantage, 3) for one in (called, direct, wrong, unknown)] == [0.577, 0.577, -1.155, 0]
    assert [round(one.tool_advantage, 3) for one in (called, direct, wrong, unknown)] == [-0.707, 0.707, 0, 0]
    (ran,), (failed,) = called.turns[0].calls, wrong.turns[0].calls
    assert (ran.name, ran.status, failed.name, failed.status) == ("add", "executed", "gone", "failed")
    assert called.ledger.tools["add"].executed == 1
    assert (called.source, called.reference, called.step, called.estimator) == ("sums", "4", 7, "hdpo")
    assert unknown.turns[0].text == FINAL  # its mask was emptied, its text was not
    (prompt,) = called.prompt
    assert prompt.text == "2+2?"
    assert prompt.images[0].startswith("data:image/jpeg;base64,")


def test_a_lost_rollout_keeps_its_cause_and_the_calls_before(tmp_path):
    lost, _ = trained(tmp_path, [dumped([call("add"), RuntimeError("gone")], None), dumped([FINAL], 1.0)])
    assert (lost.outcome, lost.lost, lost.calls) == ("lost", "RuntimeError", 1)
    assert [(one.name, one.status) for turn in lost.turns for one in turn.calls] == [("add", "executed")]


def test_a_run_that_is_only_observed_has_verls_own_advantages(tmp_path):
    rollouts = [dumped([FINAL], 1.0), dumped(["no"], 0.0)]
    right, wrong = trained(tmp_path, rollouts, "+algorithm.hdpo.observe=true", estimator="grpo")
    assert [round(one.advantage, 3) for one in (right, wrong)] == [0.707, -0.707]
    assert right.tool_advantage is None
    assert right.estimator == "grpo"


def test_calls_stand_in_the_order_in_which_the_model_made_them_and_not_in_that_of_their_ends():
    twice = call("add", "1") + call("add", "x") + call("add", "3")
    output, _, _ = run_loop([twice, FINAL], [function_tool(add)], max_parallel_calls=2, dumped=True)
    log = [(one["arguments"], one["status"]) for one in output.extra_fields[CALL_LOG_KEY]]
    assert log == [('{"x": "1"}', "executed"), ('{"x": "x"}', "failed"), ('{"x": "3"}', "dropped")]


def test_nothing_is_kept_for_a_run_that_dumps_nothing():
    output, _, _ = run_loop([call("add"), FINAL], [function_tool(add)])
    assert CALL_LOG_KEY not in output.extra_fields
    trainer = make_trainer()
    rows = [Row("a", 0), Row("a", 1, acc=0.0)]
    try:
        trainer._compute_advantage(put(rows), {})
    finally:
        tq.kv_clear(keys=[row.key for row in rows], partition_id="train")
    assert trainer.notes._notes == {}


def test_a_validation_adds_the_data_source(tmp_path):
    trainer = make_trainer(f"trainer.validation_data_dir={tmp_path}")
    trainer.global_steps = 3
    trainer._init_dump_executor()
    infos = {"reward": [1.0, 0.0], "acc": [1.0, 0.0]}
    trainer._dump_generations(
        ["q", "q"], ["4", "5"], ["4", "4"], [1.0, 0.0], infos | {"uid": ["u_0_0", "v_0_0"]}, str(tmp_path)
    )
    trainer._val_metrics_update(["sums", "capitals"], ["u", "v"], infos, [2, 2])
    trainer._shutdown_dump_executor()
    assert [one.source for one in read_rollouts(tmp_path).rollouts] == ["sums", "capitals"]


def test_thumbnails_are_small_and_what_is_no_image_ends_nothing():
    made = thumbnail(Image.new("RGBA", (3000, 30)))
    image = Image.open(BytesIO(base64.b64decode(made.partition(",")[2])))
    assert max(image.size) == SIDE
    assert thumbnail({"type": "image", "image": "a/path.png"}) == "a/path.png"
    assert thumbnail({"type": "image_url", "image_url": {"url": "https://x/y"}}) == "https://x/y"
    assert thumbnail({"bytes": b"nonsense"}) == "an image that could not be read"
    assert thumbnail(3) == "an image that could not be read"


def test_images_of_tools_are_kept_with_their_call(tmp_path):
    first, second = (FunctionCall(name=name, arguments="{}") for name in ("see", "look"))
    data, log = SimpleNamespace(assistant_turns=1, tool_calls=[first, second]), CallLog()
    log.add(second, data, "executed")
    log.add(first, data, "executed")
    log.add_images(second, data, [Image.new("RGB", (50, 50))])
    row = rollout([call("see") + call("look"), FINAL], 1.0)
    row["extra_fields"][CALL_LOG_KEY] = log.notes()
    one, _ = trained(tmp_path, [row, dumped([FINAL], 1.0)])
    assert [turn.images[0][:15] if turn.images else "" for turn in one.turns if turn.role == "tool"] == [
        "",
        "data:image/jpeg",
    ]
