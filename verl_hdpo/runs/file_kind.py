"""``foreign_kind``: what a file is that is neither JSON nor Parquet, by how it begins."""

from __future__ import annotations

from pathlib import Path

BEGINNINGS = {
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; get it with git lfs pull",
    b"<!doctype html": "a web page; download the file itself",
    b"<html": "a web page; download the file itself",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
    b"par1": "Parquet; let its name end in .parquet",
    b"arrow1": "an Arrow file; write it as Parquet",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"(\xb5/\xfd": "compressed by zstd; unpack it",
    b"pk\x03\x04": "a zip file; unpack it",
    b"\x80\x04\x95": "a Python pickle; write it as JSON lines or Parquet",
}
"""How a file begins, in small letters -> what it is and what to do."""


def foreign_kind(path: Path) -> str:
    """What the file is and what to do, ``; it is ...``; empty for one that begins as nothing known does."""
    with path.open("rb") as file:
        begins = file.read(64).lstrip().lower()
    if not begins:
        return "; it is empty"
    return next((f"; it is {kind}" for start, kind in BEGINNINGS.items() if begins.startswith(start)), "")
