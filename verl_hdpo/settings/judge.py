"""The settings of the judge, a model that is asked where rules cannot decide; under ``reward.reward_kwargs.judge``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from typing_extensions import Self

from verl_hdpo.settings.group import Flag, Positive, StrictSettings, Wanted

Count = Annotated[int, Field(ge=1), Wanted("an integer >= 1")]
OptionalPath = Annotated[Path | None, Field(strict=False), Wanted("null or a path")]


class JudgeSettings(StrictSettings):
    """When a judge is asked, and where."""

    EXAMPLE: ClassVar[str] = "when=when_undecided"

    when: Literal["never", "when_undecided", "always"] = "when_undecided"
    """`when_undecided`: where the rules cannot decide; `always`: for every answer, in the rules' place; `never`."""
    endpoints: list[str] = Field(default_factory=list)
    """Addresses of OpenAI-compatible servers of `model`: vLLM, SGLang, a commercial one. The one with the fewest
    requests under way is asked next. Empty: verl's own reward model (`reward.reward_model.enable=true`)."""
    model: str | None = None
    """The judge's name at the endpoints. null with verl's own reward model."""
    api_key_env: str | None = None
    """Environment variable with the key, set on every node."""
    api_key_file: OptionalPath = None
    """File with the key, in place of `api_key_env`."""
    template: OptionalPath = None
    """Text file that tells the judge what counts as right, in place of the built-in text. How question, reference and
    answer are quoted stays the same."""
    images: Flag = False
    """Show the judge the images of the prompt."""
    max_answer_chars: Count = 2000
    """A longer answer is wrong without asking, unless the reference is nearly as long."""
    concurrency: Count = 64
    """Requests at a time, over all reward workers of the run."""
    timeout: Positive = 60.0
    """Seconds for one request; then another endpoint is asked."""
    deadline: Positive = 180.0
    """Seconds for one verdict, retries included; then it is unknown."""
    cache_dir: OptionalPath = None
    """Folder on a local disk of the node where verdicts are kept. null: in memory, for each worker alone."""
    request: Mapping[str, Any] = Field(default_factory=dict)
    """Fields of the request beside the default `{temperature: 0, max_tokens: 512}`; null removes one. A model that
    thinks before it answers needs more `max_tokens`."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        # Here, where the message of an error does not repeat the value: a URL may hold a password.
        for number, endpoint in enumerate(self.endpoints):
            url = urlsplit(endpoint)
            if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
                raise ValueError(f"endpoints.{number} must be a URL such as http://10.0.0.7:8000/v1")
            if url.username or url.password:
                raise ValueError(
                    f"endpoints.{number} must be a URL without a password: give the key by api_key_env or api_key_file"
                )
        if self.endpoints and not self.model:
            raise ValueError("endpoints need the judge's name: set model")
        if self.api_key_env and self.api_key_file:
            raise ValueError("api_key_env and api_key_file are both set: remove one")
        return self
