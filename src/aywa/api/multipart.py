"""Reads multipart/form-data (RFC 7578, RFC 2046 5.1.1) that is already whole in memory; refuses what breaks its form."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

PARTS_MAX = 32
HEADERS_MAX = 8_192
_BOUNDARY_MAX = 200


class BadForm(Exception):
    """It is no form, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field. file_name: None where it is no file."""

    name: str
    content: bytes
    file_name: str | None = None
    media_type: str = ""

    @property
    def text(self) -> str:
        """As text."""
        return self.content.decode("utf-8", "replace")


def read_form(content_type: str, raw: bytes) -> list[Part]:
    """The fields in their order. Raises BadForm."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_param("boundary")
    if head.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise BadForm("The body must be multipart/form-data with a boundary.")
    if len(boundary) > _BOUNDARY_MAX or not boundary.isascii():
        raise BadForm("The boundary of the form is too long, or not ASCII.")
    mark = b"\r\n--" + boundary.encode("ascii")
    pieces = (b"\r\n" + raw).split(mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise BadForm("The form does not end with its boundary.")
    if len(pieces) - 2 > PARTS_MAX:
        raise BadForm(f"The form has more than {PARTS_MAX} fields.")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    # What follows the boundary in its line is white space (RFC 2046 5.1.1).
    padding, line_end, rest = piece.partition(b"\r\n")
    if not line_end or padding.strip(b" \t"):
        raise BadForm("A boundary of the form is followed by something else.")
    if rest.startswith(b"\r\n"):
        raise BadForm("A field of the form has no name.")
    headers, end, content = rest.partition(b"\r\n\r\n")
    if not end or len(headers) > HEADERS_MAX:
        raise BadForm("A field of the form has no headers, or too many.")
    head = Message()
    for line in headers.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or not name.isascii():
            raise BadForm("A header of a field of the form is none.")
        head[name.decode("ascii").strip()] = value.decode("utf-8", "replace").strip()
    field = head.get_param("name", header="content-disposition")
    if head.get_content_disposition() != "form-data" or not isinstance(field, str):
        raise BadForm("A field of the form has no name.")
    file_name = head.get_filename()
    media_type = head.get_content_type() if "content-type" in head else ""
    return Part(field, content, file_name, media_type)
