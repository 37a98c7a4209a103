"""Runs of a comparison that were planned, and what they would have logged."""

import json

from verl_hdpo.compare.plan import METRICS, plan
from verl_hdpo.compare.variant import parse_variants


def planned(
    tmp_path, algos="grpo,hdpo", seeds=(1, 2), overrides=("data.train_files=d{seed}.parquet",), config=(), cpu=False
):
    return plan(parse_variants(algos), list(seeds), list(overrides), list(config), tmp_path, cpu)


def logged(run, rows):
    run.prepare()
    (run.folder / METRICS).write_text("".join(json.dumps({"step": s, "data": d}) + "\n" for s, d in rows))
    run.finish({})
