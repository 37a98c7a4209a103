"""``write_page``: one HTML file that needs no network, opens from the disk, and shows hostile text as text.

Its policy (CSP) lets the two inline parts run and load by their hashes, images from ``data:`` alone, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from verl_hdpo.evaluation.dumps.rollout import Rollout
from verl_hdpo.evaluation.look.page_data import BLOCK, blocks_of, index_of, packed
from verl_hdpo.runs.whole_file import whole_file

ASSETS = files("verl_hdpo.evaluation.look") / "assets"
SCRIPTS = ("text.js", "store.js", "filters.js", "list.js", "why.js", "detail.js", "main.js")
POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def write_page(rollouts: Sequence[Rollout], path: Path, title: str) -> int:
    """Write the page; returns its bytes."""
    style = _asset("page.css")
    script = "\n".join(['"use strict";', f"const BLOCK = {BLOCK};", *(_asset(name) for name in SCRIPTS)])
    page = _asset("page.html")
    for mark, text in {
        "policy": POLICY.format(script=_hash(script), style=_hash(style)),
        "title": html.escape(title),
        "style": style,
        "script": script,
        "index": packed(index_of(rollouts)),
        "blocks": "\n".join(
            f'<script type="text/plain" class="block">{block}</script>' for block in blocks_of(rollouts)
        ),
    }.items():
        page = page.replace(f"<!--{mark}-->", text)
    with whole_file(path) as part:  # a page that is open is reloaded whole
        part.write_text(page, encoding="utf-8")
    return path.stat().st_size


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
