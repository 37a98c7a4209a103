"""How the parts come into verl, in processes that start as verl's do.

Each process imports verl, which takes seconds: what can be asked of one process is asked in one script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from verl_hdpo.settings.algorithms import ALGORITHMS

pytestmark = pytest.mark.slow  # together
ENV = {k: v for k, v in os.environ.items() if k not in ("VERL_USE_EXTERNAL_PLUGINS", "VERL_USE_EXTERNAL_MODULES")}


def run(script: str, **environment: str) -> subprocess.CompletedProcess:
    code = textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**ENV, **environment}, capture_output=True, text=True
    )


def answers(script: str, **environment: str) -> dict:
    """What ``script`` prints last, as JSON."""
    done = run(script, **environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


REGISTRATION = """
import importlib, json, sys
seen = {}
def adapters():
    return sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith("verl_hdpo.adapters."))

import verl
seen["plugin"] = "verl_hdpo.plugin" in sys.modules
seen["after import verl"] = adapters()

from verl.trainer.ppo import core_algos
seen["after core_algos"] = adapters()
from verl_hdpo.algorithm.estimators import ESTIMATORS
seen["estimators"] = [name in core_algos.ADV_ESTIMATOR_REGISTRY for name in ESTIMATORS]
seen["verl's gdpo"] = core_algos.get_adv_estimator_fn("gdpo").__module__

from verl.experimental.reward_loop import reward_manager
seen["reward manager"] = reward_manager.get_reward_manager_cls("hdpo").__name__

from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
seen["agent loop"] = _agent_loop_registry["hdpo_tool_agent"]["_target_"]

from verl.trainer.main_ppo import validate_config
seen["config check"] = validate_config._hdpo

from verl.trainer.ppo.v1 import get_trainer_cls, trainer_base
modes = ("sync", "colocate_async", "separate_async")
first = {mode: get_trainer_cls(mode) for mode in modes}
seen["trainers"] = [first[mode].__name__ for mode in modes]

# A second load, as by a plugin installed twice or a test that reloads: every hook runs again.
del sys.modules["verl_hdpo.plugin"]
importlib.import_module("verl_hdpo.plugin")
import verl.utils.config
seen["twice"] = (
    all(get_trainer_cls(mode) is first[mode] for mode in modes)
    and not hasattr(verl.utils.config.validate_config.__wrapped__, "__wrapped__")
    and core_algos.get_adv_estimator_fn("hdpo").__module__ == "verl_hdpo.adapters.estimator"
)

from verl.trainer import main_ppo, main_ppo_v0
from verl.trainer.ppo import ray_trainer
seen["classic"] = [
    main_ppo_v0.RayPPOTrainer.__name__,
    ray_trainer.compute_advantage._hdpo,
    hasattr(ray_trainer.compute_advantage.__wrapped__, "__wrapped__"),
    ray_trainer.RayPPOTrainer.__name__,
    main_ppo.run_ppo._hdpo,
]

# A run with another estimator goes through verl's own methods; the heavy constructor is replaced.
from omegaconf import OmegaConf
made = []
trainer_base.PPOTrainer.__init__ = lambda self, config: made.append(type(self).__module__)
def trainer(estimator, mode, **hdpo):
    return OmegaConf.create({"algorithm": {"adv_estimator": estimator, **({"hdpo": hdpo} if hdpo else {})}})
seen["stock"] = {}
for mode in modes:
    cls = get_trainer_cls(mode)
    stock = cls.__bases__[1]
    stock.__init__ = lambda self, config: made.append(type(self).__module__)
    instance = cls(config=trainer("grpo", mode))
    seen["stock"][mode] = isinstance(instance, stock) and instance.hdpo is None
seen["made"] = len(made)
seen["unused settings"] = get_trainer_cls("sync")(config=trainer("grpo", "sync", w_tool=0.1)).hdpo is None

import torch
seen["outside the trainer"] = {}
for name in ESTIMATORS:
    try:
        core_algos.get_adv_estimator_fn(name)(token_level_rewards=torch.ones(2, 3), response_mask=torch.ones(2, 3))
    except RuntimeError as error:
        seen["outside the trainer"][name] = str(error)
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def registration() -> dict:
    return answers(REGISTRATION)


def test_import_verl_loads_the_plugin_and_no_adapter(registration):
    assert registration["plugin"]
    assert registration["after import verl"] == []


def test_each_part_comes_with_its_module(registration):
    assert registration["after core_algos"] == ["estimator"]
    assert registration["estimators"] == [True] * len(ALGORITHMS)
    assert registration["verl's gdpo"] == "verl.trainer.ppo.core_algos"
    assert registration["reward manager"] == "HDPORewardManager"
    assert registration["agent loop"] == "verl_hdpo.adapters.agent_loop.HDPOToolAgentLoop"
    assert registration["config check"]
    assert registration["trainers"] == [
        "HDPOPPOTrainerSync",
        "HDPOPPOTrainerColocateAsync",
        "HDPOPPOTrainerSeparateAsync",
    ]


def test_the_classic_trainer_comes_with_its_launcher_alone(registration):
    assert registration["classic"] == ["ClassicTrainer", True, False, "RayPPOTrainer", True]


def test_loading_it_twice_changes_nothing(registration):
    assert registration["twice"]


def test_a_run_with_another_estimator_gets_a_trainer_that_adds_nothing_made_once(registration):
    assert registration["stock"] == {"sync": True, "colocate_async": True, "separate_async": True}
    assert registration["made"] == 3
    assert registration["unused settings"]


def test_the_estimator_outside_the_trainer_says_what_to_do(registration):
    assert registration["outside the trainer"].keys() == ALGORITHMS.keys()
    for name, message in registration["outside the trainer"].items():
        assert f"algorithm.adv_estimator={name} was called by a trainer that does not know HDPO" in message
        assert "Use python -m verl.trainer.main_ppo" in message
        assert "install verl-hdpo on every node" in message


def test_turned_off_verl_is_stock():
    seen = answers(
        """
        import json, sys
        import verl
        from verl.trainer.ppo import core_algos
        from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls
        print(json.dumps({
            "loaded": [name for name in sys.modules if name.startswith("verl_hdpo")],
            "estimator": "hdpo" in core_algos.ADV_ESTIMATOR_REGISTRY,
            "trainer": get_trainer_cls("sync") is PPOTrainerSync,
        }))
        """,
        VERL_USE_EXTERNAL_PLUGINS="none",
    )
    assert seen == {"loaded": [], "estimator": False, "trainer": True}


def test_a_part_that_cannot_be_registered_is_logged_and_raises():
    """verl's loader swallows what a plugin raises; a hook runs at the import of verl's module, and that import fails.

    core_algos is asked for, and the adapter for it cannot be imported.
    """
    done = run(
        """
        import sys
        sys.modules["verl_hdpo.adapters.estimator"] = None
        import verl
        print("verl is imported")
        import verl.trainer.ppo.core_algos
        print("not reached")
        """
    )
    assert done.returncode != 0
    assert "verl is imported" in done.stdout
    assert "not reached" not in done.stdout
    assert "verl-hdpo could not register its advantage estimator after verl.trainer.ppo.core_algos" in done.stderr
    assert "VERL_USE_EXTERNAL_PLUGINS=none runs verl without it" in done.stderr
    assert "ModuleNotFoundError" in done.stderr.splitlines()[-1]
