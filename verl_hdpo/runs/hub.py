"""``check_model``: whether a model is there, asked once, where loading it asks six times over a minute."""

from __future__ import annotations

import re
from pathlib import Path

TIMEOUT_SECONDS = 60.0
_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")


class ModelError(ValueError):
    """A model that is neither here nor on the hub; the message says what was asked."""


def check_model(path: str, endpoint: str | None = None) -> None:
    """A folder, a model in the hub's cache, or one that the hub has, or does not say that it has not.

    Args:
        endpoint: the hub; None: Hugging Face's, or ``HF_ENDPOINT``.

    Raises:
        ModelError: none of these.
    """
    import httpx
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    if Path(path).expanduser().is_dir() or "://" in path:
        return
    if not _NAME.fullmatch(path):
        raise ModelError(f"cannot load the model {path}: there is no such folder")
    if try_to_load_from_cache(path, "config.json"):
        return
    api = HfApi(endpoint=endpoint)
    try:
        api.model_info(path, timeout=TIMEOUT_SECONDS)
    except RepositoryNotFoundError:
        problem = f"{api.endpoint} has no such model, or shows it only to those whom its owner lets in (HF_TOKEN)"
    except OfflineModeIsEnabled:
        problem = "HF_HUB_OFFLINE is set, and it is not in the hub's cache here"
    except (HfHubHTTPError, httpx.TimeoutException):
        return  # a hub in trouble: loading it tries more than once
    except (httpx.TransportError, OSError) as error:
        problem = f"{api.endpoint} cannot be reached ({error}), and it is not in the hub's cache here"
    else:
        return
    raise ModelError(f"cannot load the model {path}: there is no such folder, and {problem}")
