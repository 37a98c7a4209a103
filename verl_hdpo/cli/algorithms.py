"""Lists of algorithms that options take, looked at before torch is imported."""

from __future__ import annotations

import click

from verl_hdpo.cli.plain_errors import BadInput


def own_algorithms(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """``text`` as it is, if this package has its algorithms and knobs."""
    from verl_hdpo.compare.variant import VariantError, own_variants

    try:
        own_variants(text)
    except VariantError as error:
        raise BadInput(f"--algos: {error}") from None
    return text


def known_algorithms(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """``text`` as it is, if verl or this package has its algorithms, as far as that is known."""
    from verl_hdpo.compare.variant import VariantError, known_variants
    from verl_hdpo.doctor.estimator_names import known_names

    try:
        known_variants(text, known_names())
    except VariantError as error:
        raise BadInput(f"--algos: {error}") from None
    return text
