"""Which texts every dialect can keep."""

from __future__ import annotations


def storable(text: str) -> str:
    """Without what PostgreSQL keeps in no text: zero characters and halves of surrogate pairs."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
