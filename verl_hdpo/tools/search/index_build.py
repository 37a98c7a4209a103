"""Building a local index from a corpus; what is half built never stands under its final name."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import tantivy

from verl_hdpo.tools.search import index_files
from verl_hdpo.tools.search.index_files import Manifest
from verl_hdpo.tools.search.passage import Passage
from verl_hdpo.tools.valid_text import valid_text

HEAP_BYTES = 512 << 20
"""Memory of the indexing threads together."""


def build(passages: Iterable[Passage], out: Path, language: str | None, threads: int = 0) -> tuple[Manifest, int]:
    """Write an index of ``passages`` to the new folder ``out``; also gives how many held half a surrogate pair.

    Args:
        passages: in any number; they are never all in memory.
        out: must not exist.
        language: of the stemmer, such as ``english``; None to index words as they are.
        threads: of the indexer; 0 for one per core, at most 8.

    Raises:
        FileExistsError: ``out`` is there already.
        ToolConfigError: no stemmer for ``language``.
        OSError: it cannot be written.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already; remove it or choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        count, mended = _write(passages, work, language, threads or min(8, os.cpu_count() or 1))
        manifest = Manifest(count, language)
        manifest.write(work)
        for path in (work, *work.iterdir()):  # private as made; other users' workers read them too
            path.chmod(0o755 if path.is_dir() else 0o644)
        work.rename(out)
        return manifest, mended
    except ValueError as error:
        if number := re.search(r"\(os error (\d+)\)", str(error)):  # how tantivy tells of a disk
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(out)) from None
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write(passages: Iterable[Passage], folder: Path, language: str | None, threads: int) -> tuple[int, int]:
    """How many passages there are, and how many of them were made valid."""
    writer = index_files.create(folder, language).writer(HEAP_BYTES, threads)
    count = mended = 0
    try:
        for passage in passages:
            document = tantivy.Document()
            valid = Passage(*map(valid_text, passage))
            mended += valid != passage
            passage = valid
            document.add_text(index_files.BODY, f"{passage.title}\n{passage.text}")
            document.add_bytes(index_files.STORED, json.dumps(passage, ensure_ascii=False).encode())
            writer.add_document(document)
            count += 1
    except BaseException:
        writer.rollback()
        raise
    else:
        writer.commit()
    finally:
        writer.wait_merging_threads()  # they write to the folder
    return count, mended
