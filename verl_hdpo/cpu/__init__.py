"""A CPU platform for stock verl, for tests and for a first look; active only when ``VERL_PLATFORM=cpu``.

verl loads this module through its entry-point group ``verl.plugins`` and the module registers as it is
imported. With another platform, or none, importing it does nothing.
"""

from __future__ import annotations

import logging
import os


def active() -> bool:
    """Whether this process was asked to run verl on the CPU."""
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def _install() -> None:
    try:
        from verl_hdpo.cpu import patches, platform, vllm_metadata

        vllm_metadata.install()
        platform.register()
        patches.install()
    except Exception:
        # verl/__init__.py logs a plugin's exception at DEBUG and goes on, to fail later without saying why.
        logging.getLogger(__name__).exception(
            "VERL_PLATFORM=cpu, but the CPU platform of verl-hdpo could not be set up; "
            "check the versions of verl (0.9.x) and torch, and that the extra verl-hdpo[cpu] is installed"
        )
        raise


if active():
    _install()
