"""What a zygote is started with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.readable import Shown


@dataclass(frozen=True)
class ZygoteSettings:
    """Travels as JSON on the command line.

    Attributes:
        mechanism: ``bubblewrap`` (it is inside already), ``namespaces``, ``landlock`` or ``none``.
        limits: of each session.
        modules: to import before the first session.
        packages: directories to find packages in.
        view: what sessions may read.
        bubblewrap: path of its program, or "".
        cgroup: control group that all of it enters, or "".
        scratch: directory for their scratch directories, where they cannot have mounts of their own.
    """

    mechanism: str
    limits: Limits
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    view: tuple[Shown, ...]
    scratch: str
    bubblewrap: str = ""
    cgroup: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ZygoteSettings:
        fields: dict[str, Any] = json.loads(text)
        limits, view = Limits(**fields.pop("limits")), tuple(Shown(*shown) for shown in fields.pop("view"))
        others: dict[str, Any] = {k: v if isinstance(v, str) else tuple(v) for k, v in fields.items()}
        return cls(limits=limits, view=view, **others)
