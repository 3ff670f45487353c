"""What can be read in an uploaded file, as plain text: text, Markdown, CSV, JSON, HTML, Word. Refuses to guess at the rest.

Hostile content never raises and never grows without bound.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from html.parser import HTMLParser
from pathlib import PurePosixPath
from xml.sax.saxutils import unescape

TEXT_MAX = 2_000_000
"""Characters of text that are kept of one file."""

_TEXTUAL = (".txt", ".md", ".markdown", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".log")
_HTML = (".html", ".htm")
_WORD = ".docx"
_WORD_BODY = "word/document.xml"
_WORD_BYTES_MAX = 20_000_000
_WORD_TEXT = re.compile(r"<w:t(?: [^>]*)?>([^<]*)</w:t>")
_BROKEN = (
    KeyError,
    OSError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
_SILENT_TAGS = frozenset(("script", "style", "template", "noscript"))
_BLOCK_TAGS = frozenset("p br div li tr h1 h2 h3 h4 h5 h6 td th section article header footer".split())


def text_of(name: str, media_type: str, content: bytes) -> str | None:
    """None where nothing can be read."""
    suffix = PurePosixPath(name.lower()).suffix
    if suffix == _WORD:
        return _of_word(content)
    if suffix in _HTML or media_type == "text/html":
        return _of_html(_decoded(content) or "")
    known = suffix in _TEXTUAL or media_type.startswith("text/") or media_type == "application/json"
    text = _decoded(content) if known else None
    return None if text is None else text[:TEXT_MAX]


def _decoded(content: bytes) -> str | None:
    if b"\0" in content and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("latin-1")


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT_TAGS
        if tag in _BLOCK_TAGS:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT_TAGS:
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def _of_html(text: str) -> str:
    words = _Words()
    try:
        words.feed(text)
        words.close()
    except (AssertionError, ValueError):  # a declaration that the parser does not bear
        pass
    lines = ("".join(words.found)).splitlines()
    return "\n".join(line.strip() for line in lines if line.strip())[:TEXT_MAX]


def _of_word(content: bytes) -> str | None:
    """ECMA-376: the words are in w:t elements, a paragraph in w:p."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(_WORD_BODY) as body:
            xml = body.read(_WORD_BYTES_MAX).decode("utf-8", "replace")
    except _BROKEN:
        return None
    paragraphs = ["".join(_WORD_TEXT.findall(paragraph)) for paragraph in xml.split("</w:p>")]
    return "\n".join(unescape(each).strip() for each in paragraphs if each.strip())[:TEXT_MAX]
