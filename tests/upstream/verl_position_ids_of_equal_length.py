"""Position ids of a vision model are packed wrongly where all sequences of a batch are equally long.

TransferQueue packs rows of shape (components, tokens) by ``as_nested_tensor``, which takes the first dimension that
differs for the ragged one. Where none differs it takes the components. verl's ``maybe_fix_3d_position_ids`` then says
that the tokens are ragged, whatever the offsets are: the next ``unbind`` raises, or cuts the rows wrongly.

Package: verl, TransferQueue
Place: verl/utils/tensordict_utils.py, maybe_fix_3d_position_ids; TransferQueue's _pack_field_values
Ours: verl_hdpo/adapters/position_ids.py: repack_equal_rows; verl_hdpo/plugin.py: @part("position ids"
"""

import torch
from tensordict import TensorDict
from transfer_queue.storage.managers.simple_storage_manager import AsyncSimpleStorageManager
from verl.utils.tensordict_utils import maybe_fix_3d_position_ids


def is_there() -> bool:
    rows = [torch.arange(4 * 5).view(4, 5) + 100 * row for row in range(3)]
    packed = AsyncSimpleStorageManager._pack_field_values(rows)
    data = TensorDict({"position_ids": packed}, batch_size=[3])
    maybe_fix_3d_position_ids(data)
    try:
        found = data["position_ids"].unbind()
    except RuntimeError:
        return True
    return not all(torch.equal(a, b) for a, b in zip(found, rows, strict=True))


if __name__ == "__main__":
    print("still there" if is_there() else "mended")
