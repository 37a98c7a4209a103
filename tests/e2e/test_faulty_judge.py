"""A run whose judge often fails, then is gone, then is back: nothing is learned from what was not judged."""

import functools
import math
from contextlib import ExitStack

import pandas
import pytest
from conftest import PROMPTS, ROLLOUTS
from failing_judge import FailingJudge
from free_port import free_port
from judge_servers import MODEL
from local_service import serving
from recorded import check_advantages, is_right, recording, rows_of
from run_overrides import OWN_PARTS

DOWN_AFTER, MORE = 5, 2
JUDGE = "+reward.reward_kwargs.judge"


def test_a_judge_that_fails_changes_no_advantage_and_one_that_is_gone_stops_the_run(train, task, tmp_path):
    # What the model has not learned, where any digit is right: a group has several answers, right and wrong. Each row
    # has a question of its own, or the judge would soon know all answers by heart.
    rows = pandas.read_parquet(task / "train.parquet").query("data_source == 'needed'")
    rows = pandas.concat([rows] * 12, ignore_index=True)
    rows["reward_model"] = [{"style": "rule", "ground_truth": list("0123456789")}] * len(rows)
    rows["extra_info"] = [{"question": f"{row.prompt[0]['content']} ({i})"} for i, row in enumerate(rows.itertuples())]
    rows.to_parquet(tmp_path / "questions.parquet")
    judge, record = FailingJudge(), tmp_path / "record.jsonl"
    with ExitStack() as servers:
        urls = [servers.enter_context(serving(judge.answer))[1] for _ in range(2)]
        urls.append(f"http://127.0.0.1:{free_port()}")
        common = [
            *OWN_PARTS,
            f"data.train_files={tmp_path / 'questions.parquet'}",
            "+algorithm.hdpo.max_unknown_rate=0.3",
            f"{JUDGE}.endpoints=[{','.join(urls)}]",
            f"{JUDGE}.model={MODEL}",
            f"{JUDGE}.when=always",
            f"{JUDGE}.timeout=3",
            f"{JUDGE}.deadline=20",
            "actor_rollout_ref.actor.optim.lr=1e-6",
            "trainer.save_freq=1",
            "trainer.resume_mode=auto",
        ]
        gone = {DOWN_AFTER: functools.partial(setattr, judge, "is_down", True)}
        first = train("first", *common, "trainer.total_training_steps=50", after_step=gone, env=recording(record))
        done = int((first.checkpoints / "latest_checkpointed_iteration.txt").read_text())
        judge.is_down = False
        more = f"trainer.total_training_steps={done + MORE}"
        second = train("second", *common, more, env=recording(record)).succeeded()

    assert first.code not in (0, 124)
    assert done == max(first.steps) >= DOWN_AFTER
    log = first.log.read_text()
    assert "have an unknown outcome, more than algorithm.hdpo.max_unknown_rate=0.3 allows" in log
    assert "resumes from the last checkpoint" in log
    assert sorted(second.steps) == [done + 1 + i for i in range(MORE)]
    rows = rows_of(record)
    for run in (first, second):
        for step, metrics in run.steps.items():
            check_step(metrics, [row for row in rows if row["step"] == step])
    known = [row for row in rows if row["reward"]["outcome_known"]]
    assert all(row["reward"]["acc"] == is_right(row) for row in known)
    check_advantages(rows, lambda row: row["reward"]["outcome_known"])
    check_mixed(rows)


def check_step(metrics, rows):
    """Every rollout is accounted for: judged, without an answer to judge, or unknown by a cause."""
    assert len(rows) == PROMPTS * ROLLOUTS
    shares = {name: value for name, value in metrics.items() if name.startswith(("hdpo/unknown/", "hdpo/decided_by/"))}
    assert sum(shares.values()) == pytest.approx(1)
    unknown = sum(value for name, value in shares.items() if name.startswith("hdpo/unknown/judge_"))
    assert unknown == metrics["hdpo/unknown_rate"]
    assert unknown == pytest.approx(sum(not row["reward"]["outcome_known"] for row in rows) / len(rows))
    assert math.isfinite(metrics["actor/grad_norm"])


def check_mixed(rows):
    """The run has what is to be shown: groups of which some rollouts are unknown and others have advantages."""
    groups = {}
    for row in rows:
        groups.setdefault((row["step"], row["group"]), []).append(row)
    mixed = [group for group in groups.values() if 0 < sum(row["reward"]["outcome_known"] for row in group) < ROLLOUTS]
    assert mixed
    assert any(any(row["advantages"]) or row["tool_advantage"] for group in mixed for row in group)
