"""Position ids of a vision model, shape (components, tokens) a row, where all rows of a batch are equally long.

TransferQueue packs the rows by ``as_nested_tensor`` (storage/managers/simple_storage_manager.py,
``_pack_field_values``), which takes the first dimension that differs for the ragged one: the tokens. Where none differs
it takes the components, and stacks the rows along them. verl/utils/tensordict_utils.py, ``maybe_fix_3d_position_ids``,
then says that the tokens are ragged, whatever the offsets are, and the next ``unbind`` fails or cuts the rows wrongly.
"""

from __future__ import annotations

import torch
from tensordict import TensorDict


def repack_equal_rows(data: TensorDict) -> None:
    """Pack ``data["position_ids"]`` along its tokens, if it is packed along its components."""
    ids = data.get("position_ids", None)
    if not (isinstance(ids, torch.Tensor) and ids.is_nested and ids.dim() == 3):
        return
    values, offsets = ids.values(), ids.offsets()  # type: ignore[attr-defined]
    if values.shape[0] != int(offsets[-1]):
        return  # (components, all tokens), as it should be
    from verl.utils.tensordict_utils import nested_tensor_from_tensor_list

    rows = values.split(offsets.diff().tolist())
    data["position_ids"] = nested_tensor_from_tensor_list([*rows], ragged_idx=2)
