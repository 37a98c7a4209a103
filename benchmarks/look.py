"""What ``verl-hdpo look`` and the notes beside verl's dump cost: ``python benchmarks/look.py``.

Page: 10,000 rollouts, opened, filtered and searched in Chromium. Training: what the notes of one step add to verl's own
dump, in bytes and milliseconds per rollout, by the trainer's own code on a real TransferQueue.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "adapters")]


def page(count: int, words: int) -> dict[str, float]:
    """Seconds and megabytes of a page of ``count`` rollouts."""
    from browser import browser, open_page
    from rollout_samples import many

    from verl_hdpo.evaluation.dumps.rollout import Turn
    from verl_hdpo.evaluation.look.page import write_page

    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("etaoinshrdlu", k=rng.randint(2, 9))) for _ in range(20_000)]
    rollouts = [
        replace(one, turns=(Turn("assistant", " ".join(rng.choices(vocabulary, k=words))), *one.turns))
        for one in many(count, 0)
    ]
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        path, began = Path(folder) / "look.html", time.monotonic()
        size = write_page(rollouts, path, "benchmark")
        wrote = time.monotonic() - began
        open_page(driver, path)
        opened = float(driver.execute_script("return document.documentElement.dataset.readyMs"))
        timed = """
            const [act, done] = [new Function(arguments[0]), arguments[1]], began = performance.now();
            Promise.resolve(act()).then(() => requestAnimationFrame(() => done(performance.now() - began)));
        """
        filters = []
        for act in ("filters.kind = 'needless'", "filters.kind = 'unknown'", "filters.kind = 'all'"):
            filters.append(driver.execute_async_script(timed, f"{act}; return refresh()"))
        for name, value in (("source", "source1"), ("step", "7"), ("sort", "a_tool-"), ("longest", "100")):
            act = f"document.getElementById('{name}').value = '{value}'; return refresh()"
            filters.append(driver.execute_async_script(timed, act))
        driver.execute_script("document.getElementById('filters').reset()")
        searches = [
            driver.execute_async_script(timed, f"document.getElementById('search').value = '{word}'; return refresh()")
            for word in ("question 77:", vocabulary[0])
        ]
    return {
        "rollouts": count,
        "characters_per_rollout": round(statistics.mean(one.written for one in rollouts)),
        "page_MB": round(size / 1e6, 2),
        "write_s": round(wrote, 2),
        "open_ms": round(opened),
        "filter_ms_median": round(statistics.median(filters), 1),
        "filter_ms_most": round(max(filters), 1),
        "first_search_ms": round(searches[0]),
        "later_search_ms": round(searches[1], 1),
    }


def notes(count: int, tokens: int) -> dict[str, float]:
    """Bytes and milliseconds per rollout of a step's notes, and of verl's own dump of the same."""
    import shutil

    import ray
    import torch
    import transfer_queue as tq
    from bare_trainer import make_trainer
    from tiny import tiny_tokenizer
    from transfer_queue import KVBatchMeta
    from verl.utils.tensordict_utils import list_of_dict_to_tensordict

    from verl_hdpo.outcomes.ledger import ToolLedger, ToolTally

    folder = tempfile.mkdtemp(prefix="vh")
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
    tq.init()
    try:
        dump = Path(folder) / "dump"
        trainer = make_trainer(f"trainer.rollout_data_dir={dump}")
        trainer.tokenizer, trainer.global_steps = tiny_tokenizer(), 1
        trainer._init_dump_executor()
        ids = torch.tensor(tiny_tokenizer().encode("x" * tokens))
        ledger = ToolLedger(1, 0, {"search": ToolTally(executed=1)}).to_dict()
        third = tokens // 3
        mask = torch.tensor([1] * third + [0] * third + [1] * (tokens - 2 * third))
        call = {"turn": 0, "name": "search", "arguments": '{"query": "capital of Peru"}', "status": "executed"}
        rows = [
            {
                "uid": f"u{at // 8}", "prompts": ids[:100], "responses": ids, "response_mask": mask, "loss_mask": mask,
                "rm_scores": torch.zeros(tokens), "old_log_probs": torch.zeros(tokens), "num_turns": 4,
                "data_source": "s", "reward_model": {"ground_truth": "4"},
                "raw_prompt": [{"role": "user", "content": "x" * 100}],
                "extra_fields": {
                    "reward_extra_info": {"acc": float(at % 2), "outcome_known": 1.0},
                    "tool_ledger": ledger, "model_spans": [[0, third], [2 * third, tokens]], "tool_call_log": [call],
                },
            }
            for at in range(count)
        ]  # fmt: skip
        keys = [f"u{at // 8}_{at % 8}_0" for at in range(count)]
        fields, tags = list_of_dict_to_tensordict(rows), [{} for _ in keys]
        tq.kv_batch_put(keys=keys, partition_id="train", fields=fields, tags=tags)
        batch = KVBatchMeta(keys=keys, tags=tags, partition_id="train", fields=sorted(fields.keys()))
        batch = trainer._compute_advantage(batch, {})
        timing: dict[str, float] = {}
        trainer._log_rollout_data(batch, timing, str(dump))
        trainer._shutdown_dump_executor()
        ours, theirs = ((dump / name).stat().st_size for name in ("hdpo_notes/1.jsonl", "1.jsonl"))
    finally:
        tq.close()
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "rollouts": count,
        "response_tokens": tokens,
        "verl_ms_per_rollout": round(1000 * timing["dump_rollout_generations"] / count, 3),
        "notes_ms_per_rollout": round(1000 * timing["dump_rollout_notes"] / count, 3),
        "verl_bytes_per_rollout": round(theirs / count),
        "notes_bytes_per_rollout": round(ours / count),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=10_000, help="in the page (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("outputs/bench/look.json"), help="default: %(default)s")
    args = parser.parse_args()
    found = {}
    for name, measured in (("page", lambda: page(args.rollouts, 300)), ("notes", lambda: notes(1024, 1000))):
        found[name] = measured()
        print(name, json.dumps(found[name], indent=2), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
