"""``zoom`` ``{region}``: a part of the user's picture, enlarged. A tool that returns an image."""

from __future__ import annotations

from typing import Any

from pictures import REGIONS, enlarged

from verl_hdpo.tools.base import Answer, Call, Tool
from verl_hdpo.tools.failures import BadCall
from verl_hdpo.tools.schema import Signature


class Zoom(Tool):
    kind = "zoom"
    signature = Signature(
        "zoom",
        "Show a region of the picture enlarged.",
        {
            "type": "object",
            "properties": {"region": {"type": "string", "description": "what to show", "enum": list(REGIONS)}},
            "required": ["region"],
        },
    )

    async def answer(self, arguments: Any, call: Call) -> Answer:
        region = arguments.get("region") if isinstance(arguments, dict) else None
        if not isinstance(region, str) or region not in REGIONS:
            raise BadCall(f"'region' must be one of {', '.join(REGIONS)}, found {region!r}")
        # The original, which has the pixels that the model was not shown.
        return Answer(None, [enlarged(call.images[0].image.convert("RGB"), region)])
