"""What doctor finds of a run, in this process: all that its own process finds but the plugin's registrations."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from composed import without_hydra

from verl_hdpo.adapters import override_problems
from verl_hdpo.doctor.config import composed
from verl_hdpo.doctor.probe import at_rest
from verl_hdpo.doctor.run_checks import check_composed_run
from verl_hdpo.runs.finding import Finding, each_once

ROLLOUT = "actor_rollout_ref.rollout"
LOOP = f"{ROLLOUT}.agent.default_agent_loop"
MULTI_TURN = f"{ROLLOUT}.multi_turn"
ROW = {
    "data_source": "toy",
    "prompt": [{"role": "user", "content": "2 + 2?"}],
    "reward_model": {"style": "rule", "ground_truth": "4"},
}


def overrides(run: dict) -> list[str]:
    """A run's overrides as hydra takes them; those that are None are left out."""
    return [f"{key}={value}" for key, value in run.items() if value is not None]


def run_findings(
    given: Sequence[str], config_name: str = "ppo_trainer", config_path: str | None = None, config_dir=None
) -> list[Finding]:
    """Each finding once, in doctor's order."""
    config, found = composed(config_name, config_path, config_dir, list(given))
    if config is not None:
        found += [*at_rest(config), *check_composed_run(config)]
    return list(each_once(found))


def findings(run: dict, config_name: str = "ppo_trainer") -> list[Finding]:
    """The same without hydra, for overrides that it accepts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(override_problems, "compose", without_hydra)
        return run_findings(overrides(run), config_name)


def marked(mark: str, run: dict, config_name: str = "ppo_trainer") -> list[Finding]:
    """The findings with one mark."""
    return [finding for finding in findings(run, config_name) if finding.mark == mark]


def only(found: list[Finding]) -> Finding:
    """The one finding: a mistake is told once."""
    assert len(found) == 1, "\n".join(map(str, found))
    assert "Traceback" not in found[0].found
    return found[0]


def told(found: list[Finding], subject: str) -> str:
    """What was found of a subject."""
    return "\n".join(finding.found for finding in found if finding.subject == subject)
