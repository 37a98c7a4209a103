"""Where a model is asked: at a server that is there, or at vLLM started for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from omegaconf import DictConfig

from verl_hdpo.evaluation.chat_endpoint import ChatEndpoint
from verl_hdpo.evaluation.endpoint import Endpoint
from verl_hdpo.evaluation.model import Model
from verl_hdpo.evaluation.served_model import served


@asynccontextmanager
async def connected(model: Model, config: DictConfig, log: Path, cpu: bool) -> AsyncIterator[Endpoint]:
    """The model's endpoint, for as long as it is needed.

    Args:
        config: of the run, by which vLLM is started.
        log: vLLM's, where it is started.

    Raises:
        EndpointError: no server, none of that kind, or no such model.
        ServerError: vLLM did not start.
    """
    with nullcontext(model.url) if model.url else served(model.path, config, log, cpu) as url:
        if model.is_chat:
            endpoint: Endpoint = ChatEndpoint(url, model.path, model.api_key)
        else:
            name = model.name if model.url else model.path  # by name, lest another server has come to that port
            endpoint = Endpoint(url, name, model.api_key)
        try:
            await endpoint.connect()
            yield endpoint
        finally:
            await endpoint.close()
