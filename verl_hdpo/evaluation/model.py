"""``Model``: a model to evaluate, and where it is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verl_hdpo.runs.fingerprint import fingerprint


@dataclass(frozen=True)
class Model:
    """A model, and where it is served.

    Attributes:
        label: what the figures call it.
        path: checkpoint or hub id, of which tokenizer and config are read in any case.
        url: of its server; None: one is started.
        name: its name there; None: the only one.
        api_key: of that server.
        is_chat: it is asked through a server's chats, and ``path`` is its name there.
    """

    label: str
    path: str
    url: str | None = None
    name: str | None = None
    api_key: str | None = None
    is_chat: bool = False

    @classmethod
    def parse(cls, text: str, **where: Any) -> Model:
        """``[LABEL=]PATH``; the label is by default the folder's name."""
        label, equals, path = text.partition("=")
        if not equals or "/" in label:
            label, path = "", text
        path = path.rstrip("/") or path  # verl refuses a path that ends in a slash
        return cls(label or Path(path).name or path, path, **where)

    @property
    def folder(self) -> str:
        """``label`` as the name of a folder."""
        return self.label.replace("/", "_")

    @property
    def made_of(self) -> dict[str, Any]:
        """What its rollouts depend on."""
        found = {"model": fingerprint(self.path), "endpoint": self.url, "served_name": self.name}
        return found | ({"api": "chat"} if self.is_chat else {})
