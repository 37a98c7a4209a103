"""Position ids of vision models, packed as TransferQueue packs them, after verl's workers have put them right."""

import pytest
import torch
import verl.utils.tensordict_utils as tensordict_utils
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

STOCK, OURS = tensordict_utils.maybe_fix_3d_position_ids.__wrapped__, tensordict_utils.maybe_fix_3d_position_ids


def packed(rows):
    """verl's batch of one field, as TransferQueue's SimpleStorage hands it over."""
    from transfer_queue.storage.managers.simple_storage_manager import AsyncSimpleStorageManager

    field = AsyncSimpleStorageManager._pack_field_values(rows)
    return TensorDict({"position_ids": field}, batch_size=[len(rows)])


def selected(fix, rows, order):
    """The rows in another order, as ``rearrange_micro_batches`` picks them."""
    data = packed(rows)
    fix(data)
    found = tensordict_utils.index_select_tensor_dict(data, order)["position_ids"]
    return list(found.unbind())


def made(lengths, components=4):
    return [torch.arange(components * n).view(components, n) + 1000 * i for i, n in enumerate(lengths)]


@given(
    lengths=st.lists(st.integers(5, 20), min_size=1, max_size=6) | st.integers(5, 30).map(lambda n: [n] * (n % 5 + 1)),
    components=st.sampled_from([3, 4]),
    data=st.data(),
)
def test_rows_of_any_lengths_come_back_as_they_went_in(lengths, components, data):
    rows = made(lengths, components)
    order = data.draw(st.permutations(range(len(rows))))
    for found, wanted in zip(selected(OURS, rows, order), [rows[i] for i in order], strict=True):
        assert torch.equal(found, wanted)


def test_verl_alone_gets_equal_lengths_wrong():
    """When this fails, verl has been put right: remove ``verl_hdpo.adapters.position_ids``.

    Of the second batch the offsets fit either dimension: 4 rows of 4 components and 16 tokens.
    """
    with pytest.raises(RuntimeError, match="Expected cond to be True"):
        selected(STOCK, made((5, 5, 5)), [0, 1, 2])
    found = selected(STOCK, made((16, 16, 16, 16)), [0, 1, 2, 3])
    assert [row.shape for row in found] == [(16, 4)] * 4


def test_a_batch_without_images_is_left_as_it_is():
    for position_ids in (torch.arange(6).view(2, 3), torch.nested.as_nested_tensor([torch.arange(3)] * 2)):
        data = TensorDict({"position_ids": position_ids}, batch_size=[2])
        OURS(data)
        assert data["position_ids"] is position_ids or torch.equal(data["position_ids"], position_ids)


def test_verl_s_workers_call_what_the_plugin_left_there():
    from verl.workers import engine_workers
    from verl.workers.engine import base

    assert engine_workers.maybe_fix_3d_position_ids is base.maybe_fix_3d_position_ids is OURS
