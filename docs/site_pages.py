"""mkdocs hooks: the README is the first page, and files of the repository that a page links to are pages as well.

So a link works in the repository and on the site alike, and one that leads nowhere ends ``mkdocs build --strict``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\]\()([^)\s:#]+)(#[^)\s]*)?(\))")
IMAGE = re.compile(r"(<img\b[^>]*\bsrc=\")([^\":]+)(\")")
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".sh": "bash", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".cff": "yaml"}


def on_files(files: Files, config: Any) -> Files:
    """Add a page for the README and for each file outside of docs that a page links to, pages added so included."""
    waiting = ["README.md", *(posixpath.join("docs", file.src_uri) for file in files.documentation_pages())]
    while waiting:
        path = waiting.pop()
        uri = site_uri(path)
        if uri not in files.src_uris:
            files.append(File.generated(config, uri, content=content(path)))
        if path.endswith(".md"):
            waiting += [target for target in targets(path) if site_uri(target) not in files.src_uris]
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page with its links as they are between files of the site."""
    path = repository_path(page.file.src_uri)
    if not path.endswith(".md"):
        return markdown
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(link: re.Match[str]) -> str:
        uri = site_uri(resolved(path, link[2]))
        return f"{link[1]}{posixpath.relpath(uri, folder or '.')}{link[3] or ''}{link[4]}"

    def rewritten_image(image: re.Match[str]) -> str:
        # mkdocs leaves HTML as it is, so this one is relative to the address of the page, not to its source.
        uri = site_uri(resolved(path, image[2]))
        return f"{image[1]}{posixpath.relpath(uri, page.file.url or '.')}{image[3]}"

    return IMAGE.sub(rewritten_image, LINK.sub(rewritten, markdown))


def targets(path: str) -> Iterator[str]:
    """Files and folders of the repository that the page links to."""
    text = FENCE.sub("", (ROOT / path).read_text())
    for link in [*LINK.finditer(text), *IMAGE.finditer(text)]:
        yield resolved(path, link[2])


def resolved(path: str, link: str) -> str:
    """The linked file; of a folder its README or what its ``__init__.py`` says of it."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    if (ROOT / target).is_dir():
        target = posixpath.join(target, "README.md" if (ROOT / target / "README.md").exists() else "__init__.py")
    if not (ROOT / target).is_file():
        raise PluginError(f"{path} links to {link}, which is not a file of the repository")
    return target


def site_uri(path: str) -> str:
    """Where a file of the repository is among the site's sources."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return "repository/" + (path if path.endswith((".md", ".png", ".svg")) else path + ".md")


def repository_path(uri: str) -> str:
    """The inverse of ``site_uri``."""
    if uri == "index.md":
        return "README.md"
    if not uri.startswith("repository/"):
        return "docs/" + uri
    path = uri.removeprefix("repository/")
    return path if (ROOT / path).exists() else path.removesuffix(".md")


def content(path: str) -> str | bytes:
    """A page's text or a picture's bytes; other files as a block of code beneath their name."""
    file = ROOT / path
    if file.suffix in {".png", ".svg"}:
        return file.read_bytes()
    if file.suffix == ".md":
        return file.read_text()
    return f"# {path}\n\n~~~~~{LANGUAGES.get(file.suffix, 'text')}\n{file.read_text()}\n~~~~~\n"
