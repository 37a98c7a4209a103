"""Workers on a platform whose device is the CPU ask torch for a process group that it refuses.

The backend is "cpu:gloo,cpu:gloo": a device type twice.

Package: verl
Place: verl/utils/distributed.py, initialize_global_process_group_ray and initialize_global_process_group
Ours: verl_hdpo/cpu/patches.py: _process_group_over_gloo
"""

import torch.distributed
from verl.utils import distributed


def is_there() -> bool:
    asked = []
    stock = distributed.get_device_name, distributed.get_nccl_backend, torch.distributed.init_process_group
    distributed.get_device_name, distributed.get_nccl_backend = (lambda: "cpu"), (lambda: "gloo")
    torch.distributed.init_process_group = lambda backend, **_: asked.append(backend)
    try:
        distributed.initialize_global_process_group_ray()
    finally:
        distributed.get_device_name, distributed.get_nccl_backend, torch.distributed.init_process_group = stock
    return asked[0].count("cpu:") > 1


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
