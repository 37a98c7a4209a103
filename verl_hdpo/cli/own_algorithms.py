"""``own_algorithms``: an option's list of algorithms, looked at before torch is imported."""

from __future__ import annotations

import click


def own_algorithms(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """``text`` as it is, of algorithms and knobs that there are."""
    from verl_hdpo.compare.variant import own_variants

    own_variants(text)
    return text
