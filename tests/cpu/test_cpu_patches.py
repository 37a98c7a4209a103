"""What the CPU platform changes in verl; that it trains with it is shown in tests/e2e."""

from types import SimpleNamespace

import pytest

from verl_hdpo.cpu.patches import PATCHES, RENDEZVOUS_PORTS
from verl_hdpo.runs.cpu_settings import ENVIRONMENT


def test_workers_meet_on_a_port_that_the_kernel_gives_to_nobody():
    class RayWorkerGroup:
        def __init__(self, **kwargs):
            self.ports = kwargs.pop("master_port_range", None)

    with open("/proc/sys/net/ipv4/ip_local_port_range") as ephemeral:
        first_given_out = int(ephemeral.read().split()[0])
    PATCHES["verl.single_controller.ray.base"](SimpleNamespace(RayWorkerGroup=RayWorkerGroup))
    low, high = RayWorkerGroup().ports
    assert RENDEZVOUS_PORTS[0] <= low < high <= first_given_out
    assert RayWorkerGroup(master_port_range=[1, 2]).ports == [1, 2]


def test_the_sft_trainer_s_process_group_is_gloo_s_alone(monkeypatch):
    asked = []

    def initialize_global_process_group_ray(timeout_second=None, backend=None):
        asked.append((timeout_second, backend))

    verl = SimpleNamespace(
        initialize_global_process_group_ray=initialize_global_process_group_ray, initialize_global_process_group=None
    )
    PATCHES["verl.utils.distributed"](verl)
    for name, value in (("LOCAL_RANK", "0"), ("RANK", "3"), ("WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    assert verl.initialize_global_process_group() == (0, 3, 4)
    assert asked == [(36000, "cpu:gloo")]


@pytest.mark.slow
def test_vllm_asks_for_nothing_of_a_model_once_mla_is_off(monkeypatch):
    """vllm/config/model.py, ``use_mla``: with Qwen3-VL it would ask for an architecture that there is not."""
    from vllm.config.model import ModelConfig

    model = object.__new__(ModelConfig)  # has no attributes
    monkeypatch.setenv("VLLM_MLA_DISABLE", ENVIRONMENT["VLLM_MLA_DISABLE"])
    assert model.use_mla is False
    monkeypatch.delenv("VLLM_MLA_DISABLE")
    with pytest.raises(AttributeError):
        _ = model.use_mla
