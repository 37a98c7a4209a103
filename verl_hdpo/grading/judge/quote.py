"""``quote``: somebody else's text as data in a prompt, which can neither leave its place nor pose as anything else.

Each line begins with a mark that the text cannot know or that only stands at the beginning of a line, so no line of it
can pass for one of the prompt's. Control tokens of chat templates, which a server would take for the end of the
message, and characters that nobody sees are spelled out.
"""

from __future__ import annotations

import re
import unicodedata

_CONTROL_TOKEN = re.compile(r"<(?=[^\s\d=])|\[(?=/?[A-Za-z_]{3,}\])")
"""Where ``<|im_end|>``, ``</s>``, ``<start_of_turn>`` or ``[INST]`` may begin; a space there hurts nothing else."""
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Unicode's controls, formats (zero width, right to left, tags), surrogates, private use, unassigned."""


def quote(text: str, mark: str) -> str:
    """``text`` with ``mark`` and ``>`` before each line."""
    return "\n".join(f"{mark}> {_visible(line)}" for line in text.splitlines() or [""])


def _visible(line: str) -> str:
    line = _CONTROL_TOKEN.sub(lambda match: f"{match.group()} ", line)
    if line.isascii() and line.isprintable():
        return line
    return "".join(
        rf"\u{{{ord(char):x}}}" if char != "\t" and unicodedata.category(char) in _UNSEEN else char for char in line
    )
