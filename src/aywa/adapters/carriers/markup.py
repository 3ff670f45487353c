"""XML as vendors are answered with it. Whatever stands in a text or an attribute, it stays one."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

XML = "text/xml; charset=utf-8"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def element(tag: str, /, *inside: str, text: str = "", **attributes: str) -> str:
    """One element. An empty attribute is left out."""
    given = "".join(f" {key}={quoteattr(_plain(value))}" for key, value in attributes.items() if value)
    content = "".join(inside) + escape(_plain(text))
    return f"<{tag}{given}>{content}</{tag}>" if content else f"<{tag}{given}/>"


def response(*inside: str) -> str:
    """A whole answer."""
    return _HEAD + element("Response", *inside)


def _plain(text: str) -> str:
    # XML 1.0 2.2 has no place for these.
    return "".join(each for each in text if each.isprintable())
