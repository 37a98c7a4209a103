"""The files of a local index: a tantivy index, its analyzer and a manifest that says what they hold.

Scores are tantivy's BM25 with k1 = 1.2 and b = 0.75 over title and text together:

    score(q, d) = sum over terms t of q:  ln(1 + (N - n_t + 0.5) / (n_t + 0.5))
                                          * 2.2 f / (f + 1.2 (0.25 + 0.75 |d| / avg|d|))

with f the count of t in d, n_t the passages with t, N all passages; |d| is exact up to 40 terms and kept in one
byte, rounded down, above (https://github.com/quickwit-oss/tantivy).
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import tantivy

from verl_hdpo.settings.tool import ToolConfigError

FORMAT = 1
MANIFEST = "verl_hdpo_index.json"
BODY, STORED = "body", "passage"
"""Fields: the terms that are searched, and the passage as JSON, which is not."""

MAX_TERM_CHARS = 64

# Chinese and Japanese are written without spaces: every character there is a term.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
_TERM = rf"{_UNSPACED}|[[\p{{L}}\p{{M}}\p{{N}}]--{_UNSPACED}]+"
_ANALYZER = "verl_hdpo"


@dataclass(frozen=True)
class Manifest:
    """What an index holds.

    Attributes:
        passages: how many.
        language: whose word endings are cut off (stemmed); None for none.
        format: version of this layout.
    """

    passages: int
    language: str | None
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises ToolConfigError when ``folder`` holds no finished index of this format."""
        try:
            found = json.loads((folder / MANIFEST).read_text())
            if found["format"] == FORMAT:
                return cls(**found)
            problem = f"has format {found['format']}, this version reads {FORMAT}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"is not an index ({type(error).__name__}: {error})" if folder.exists() else "does not exist"
        raise ToolConfigError(f"{folder} {problem}; build it with verl-hdpo index build CORPUS --out {folder}")


def analyzer(language: str | None) -> tantivy.TextAnalyzer:
    """Text to terms: runs of letters and digits in lower case, stemmed if a language is given.

    Raises:
        ToolConfigError: no stemmer for that language.
    """
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(_TERM))
        .filter(tantivy.Filter.remove_long(MAX_TERM_CHARS))
        .filter(tantivy.Filter.lowercase())
    )
    if language is not None:
        try:
            builder = builder.filter(tantivy.Filter.stemmer(language))
        except ValueError as error:
            raise ToolConfigError(f"no stemmer for the language {language!r}: {error}") from None
    return builder.build()


def create(folder: Path, language: str | None) -> tantivy.Index:
    """A new, empty index in ``folder``, which exists."""
    schema = tantivy.SchemaBuilder()
    schema.add_text_field(BODY, tokenizer_name=_ANALYZER, index_option="freq")
    schema.add_bytes_field(STORED, stored=True)  # a text field would make terms of it
    index = tantivy.Index(schema.build(), path=str(folder))
    index.register_tokenizer(_ANALYZER, analyzer(language))
    return index


def open_searcher(folder: Path) -> tuple[tantivy.Searcher, tantivy.Schema]:
    """A finished index, memory-mapped; ``folder`` may be read-only."""
    # tantivy opens a lock file for writing, even to read. It gets a folder of links for the moment of opening.
    with tempfile.TemporaryDirectory(prefix="verl-hdpo-index-") as links:
        for file in folder.iterdir():
            if file.suffix != ".lock":
                Path(links, file.name).symlink_to(file.resolve())
        index = tantivy.Index.open(links)
        index.config_reader(reload_policy="manual")  # the files never change; the default watches them
        return index.searcher(), index.schema
