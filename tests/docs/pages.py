"""The repository's pages, and what stands in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    + [page for folder in ("docs", "recipes", "examples") for page in (ROOT / folder).rglob("*.md")]
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(*languages):
    """(page and line, code) of every block of code in one of the languages."""
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.finditer(text):
            if block[1] in languages:
                yield f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 1}", block[2]


def prose(page):
    """The page's paragraphs and list items, without code, tables, headings and the addresses of links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^( {4}|\||#|!|<).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"^ *([-*]|\d+\.) +", "\n", text, flags=re.MULTILINE)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
