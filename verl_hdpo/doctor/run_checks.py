"""All that is looked at of a composed run once verl is imported."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

from verl_hdpo.adapters.run_settings import run_settings
from verl_hdpo.adapters.user_code import in_words
from verl_hdpo.doctor.agent_loops import check_agent_loops, loops_in_use
from verl_hdpo.doctor.data import SPLITS, Rows, has_own_class, rows_of
from verl_hdpo.doctor.dataset_class import own_data
from verl_hdpo.doctor.engines import check_engines, check_named_modules
from verl_hdpo.doctor.processor import check_processor
from verl_hdpo.doctor.progress import doing
from verl_hdpo.doctor.prompt import check_prompt
from verl_hdpo.doctor.reward import check_reward, judged_by_rules
from verl_hdpo.doctor.run import check_run_config, own_checks
from verl_hdpo.doctor.sections import DATA, RUN
from verl_hdpo.doctor.tokenizer import check_tokenizer
from verl_hdpo.doctor.tools import check_tools, tools_of
from verl_hdpo.runs.finding import Finding


def check_composed_run(config: DictConfig) -> Iterator[Finding]:
    """Every finding on a run whose files, settings and rows were looked at before."""
    data = {} if has_own_class(config) else {split: rows_of(config, split) for split in SPLITS}
    if has_own_class(config):
        yield from own_data(config, data)
    try:
        run, loops = run_settings(config), loops_in_use(config, data)
        own = own_checks(config, run, loops)
        by_rules = judged_by_rules(config)
    except Exception as error:  # a value that nobody expected
        yield Finding(RUN, "FAIL", "config", f"reading the config: {in_words(error)}", ("change what it names",))
        return
    steps = {
        "validating the config": lambda: check_run_config(config, run, own),
        "looking at the agent loops": lambda: check_agent_loops(config, data, own.loops),
        "looking for the engines": lambda: check_engines(config),
        "importing what the config names": lambda: check_named_modules(config),
        "looking at the tools": lambda: check_tools(config, loops.names, data),
        "loading the tokenizer": lambda: check_tokenizer(config),
        "loading the processor": lambda: check_processor(config, data),
        "rendering a prompt": lambda: check_prompt(config, tools_of(config), data),
        "looking at the ground truths": lambda: _ground_truths(data) if by_rules else (),
        "looking at the reward": lambda: check_reward(config, run, loops.names, data),
    }
    failed = False
    for step, check in steps.items():
        doing(step)
        try:
            for finding in check():
                failed |= finding.mark == "FAIL"
                yield finding
        except Exception as error:  # a value that nobody expected, and which is as a rule told already
            if not failed:
                yield Finding(RUN, "FAIL", "config", f"{step}: {in_words(error)}", ("change what it names",))
            failed = True


def _ground_truths(data: dict[str, Rows]) -> Iterator[Finding]:
    """Those that the ``hdpo`` reward manager cannot compare answers with."""
    for split, rows in data.items():
        for why, tally in rows.incomparable.items():
            found = f"{tally}: {why}, such as {tally.example}"
            advice = "write reward_model.ground_truth as a text, a number, or a list of those"
            yield Finding(DATA, "FAIL", f"data.{split}_files", found, (advice,))
