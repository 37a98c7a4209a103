"""The repository's pages, and what stands in them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    + [page for folder in ("docs", "recipes", "examples") for page in (ROOT / folder).rglob("*.md")]
)
PROGRAMS = ("make", "pip", "python", "verl-hdpo")
TRAINER = "verl.trainer.main_ppo"
_PYPROJECT = (ROOT / "pyproject.toml").read_text()
EXTRAS = set(re.findall(r"^(\w+) = \[", _PYPROJECT.split("[project.optional-dependencies]")[1].split("\n[")[0], re.M))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def blocks(*languages):
    """(page and line, code) of every block of code in one of the languages."""
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.finditer(text):
            if block[1] in languages:
                yield f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 1}", block[2]


def indented_blocks():
    """(page and line, code) of every block that is code by its indentation alone."""
    for page in PAGES:
        lines = FENCED.sub(lambda block: "x\n" * block[0].count("\n"), page.read_text()).splitlines()
        block, first, after_list = [], 0, False
        for number, line in enumerate([*lines, "the end"], 1):
            if line.startswith("    ") and (block or not lines[number - 2].strip()) and not after_list:
                first = first if block else number
                block.append(line[4:])
            elif line.strip():
                if block:
                    yield f"{page.relative_to(ROOT)}:{first}", "\n".join(block)
                # What is indented below a list item belongs to it.
                block, after_list = [], bool(re.match(r" *([-*]|\d+\.) ", line)) or (after_list and line[0] == " ")


def commands():
    """(place, words) of each command line in a block for a shell, or in an indented one that begins with a program."""
    indented = [
        (place, code) for place, code in indented_blocks() if re.match(rf"(\.venv/bin/)?({'|'.join(PROGRAMS)})\b", code)
    ]
    for place, code in [*blocks("bash", "sh", "console"), *indented]:
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words:
                program = words[0].removeprefix(".venv/bin/")
                yield place, ["python" if program == "python3" else program, *words[1:]]


def prose(page):
    """The page's paragraphs and list items, without code, tables, headings and the addresses of links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^( {4}|\||#|!|<).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"^ *([-*]|\d+\.) +", "\n", text, flags=re.MULTILINE)
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
