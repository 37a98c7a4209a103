"""``openai_client``: OpenAI's client for an OpenAI-compatible server, whatever the environment holds."""

from __future__ import annotations

from typing import Any

import openai

NO_KEY = "no-key-was-given"
"""Sent where there is no key, lest the client takes the environment's ``OPENAI_API_KEY``."""


def v1(url: str) -> str:
    """The address of the API at ``url``, which may end with ``/v1`` or without."""
    return url.rstrip("/").removesuffix("/v1") + "/v1"


def openai_client(url: str, key: str | None, **options: Any) -> openai.AsyncOpenAI:
    """A client of the API at ``url``.

    Args:
        url: as :func:`v1` gives it.
        key: sent as bearer token; None: ``NO_KEY``.
        options: of ``openai.AsyncOpenAI``.
    """
    return openai.AsyncOpenAI(base_url=url, api_key=key or NO_KEY, **options)
