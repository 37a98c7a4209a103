"""What the CPU platform changes in verl; that it trains with it is shown in tests/e2e."""

from types import SimpleNamespace

from verl_hdpo.cpu.patches import PATCHES, RENDEZVOUS_PORTS


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
