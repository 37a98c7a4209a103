"""The training steps that go through verl's trainer and Ray."""

EPOCHS, RATE = 2, 0.5
GROUPS = "aaaabbb"
"""Prompt of each row before ``PADDING``: the second group is not complete, and verl adds the padding row itself."""
CALLS = (0, 1, 0, 2, 3, 0, 5)
"""Tool calls of these rows."""
RUNS = {
    "paper": (),
    "sapo": (
        "actor_rollout_ref.actor.policy_loss.loss_mode=sapo",
        "+algorithm.hdpo.tool_loss_norm=qualifying",
        "+algorithm.hdpo.w_tool=0.5",
    ),
}
"""Names of ``SETTINGS``, and verl's overrides for them."""
