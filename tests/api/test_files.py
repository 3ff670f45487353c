"""/file as a client sees it."""

from __future__ import annotations

import io
import zipfile

import pytest

from aywa.api.multipart import BadForm, read_form
from aywa.service.file_text import text_of
from tests.api.conftest import Runtime


async def test_a_file_s_bytes_come_back(runtime: Runtime) -> None:
    content = bytes(range(256)) * 3 + b"\r\n--not the boundary\r\n\r\n"
    answer = await runtime.client.post(
        "/file",
        files={"file": ("C:\\docs\\all bytes.bin", content, "application/x-bytes")},
        data={"purpose": "assistant", "metadata": '{"a": [1]}'},
    )
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["name"], body["bytes"], body["mimetype"]) == (
        "all bytes.bin",
        len(content),
        "application/x-bytes",
    )
    assert (body["purpose"], body["metadata"]) == ("assistant", {"a": [1]})
    assert "parsedTextBytes" not in body
    got = await runtime.client.get(body["url"])
    assert got.content == content
    assert got.headers["content-disposition"].startswith("attachment")
    await runtime.client.delete(f"/file/{body['id']}")
    assert (await runtime.client.get(body["url"])).status_code == 404


async def test_only_a_file_s_name_can_be_changed(runtime: Runtime) -> None:
    name = await runtime.file()
    assert (await runtime.client.patch(f"/file/{name}", json={"name": "x"})).json()["name"] == "x"
    assert (await runtime.client.patch(f"/file/{name}", json={"name": None})).json()["name"] == "hours.txt"
    refused = await runtime.client.patch(f"/file/{name}", json={"bytes": 1, "name": 2})
    assert refused.json()["message"] == [
        "name must be a string, got 2",
        "bytes must not be changed: only name can be, got 1",
    ]


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("application/json", b"{}", "must be multipart/form-data"),
        ("multipart/form-data", b"x", "with a boundary"),
        ("multipart/form-data; boundary=b", b"x", "does not end with its boundary"),
        ("multipart/form-data; boundary=b", b"--b--", "file is required"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--", "has no name"),
        ("multipart/form-data; boundary=b", b"--bx\r\n\r\nx\r\n--b--", "followed by something else"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nx\r\n--b--',
            "file is required",
        ),
    ],
)
async def test_a_broken_form_is_a_400(runtime: Runtime, content_type: str, body: bytes, said: str) -> None:
    answer = await runtime.client.post("/file", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 400
    assert said in answer.text


async def test_a_bad_purpose_and_bad_metadata_are_told_together(runtime: Runtime) -> None:
    answer = await runtime.client.post(
        "/file", files={"file": ("a", b"x")}, data={"purpose": "fun", "metadata": "[1]"}
    )
    assert [problem.split()[0] for problem in answer.json()["message"]] == ["metadata", "purpose"]


async def test_a_file_past_the_limit_is_a_413(runtime: Runtime) -> None:
    limit = runtime.app.state.settings.file_bytes
    answer = await runtime.client.post(
        "/file",
        content=b"x",
        headers={"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(limit + 1)},
    )
    assert answer.status_code == 413
    assert str(limit) in answer.text


def test_what_a_form_may_look_like() -> None:
    raw = (
        b'preamble\r\n--b \t\r\ncontent-disposition: form-data; name="file"; filename="\xc3\xa4.txt"\r\n'
        b"Content-Type: text/plain; charset=utf-8\r\n\r\none\r\ntwo\r\n"
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistant\r\n--b--\r\nepilogue'
    )
    file, purpose = read_form('multipart/form-data; boundary="b"', raw)
    assert (file.name, file.file_name, file.media_type, file.content) == (
        "file",
        "ä.txt",
        "text/plain",
        b"one\r\ntwo",
    )
    assert (purpose.name, purpose.text, purpose.file_name) == ("purpose", "assistant", None)


def test_too_many_fields_are_refused() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n'
    with pytest.raises(BadForm, match="more than"):
        read_form("multipart/form-data; boundary=b", part * 40 + b"--b--")


PARAGRAPHS = (
    "<w:p><w:tab/><w:t>A</w:t><w:t xml:space='p'> &lt;b</w:t></w:p><w:tbl><w:p><w:t>c</w:t></w:p></w:tbl>"
)


def _word(xml: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("word/document.xml", xml)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "media_type", "content", "text"),
    [
        ("a.txt", "", "\ufeffGrüße".encode(), "Grüße"),
        ("a.csv", "text/csv", "Grüße".encode("latin-1"), "Grüße"),
        ("a", "text/plain", "Hallo".encode("utf-16"), "Hallo"),
        ("a.txt", "text/plain", b"a\0b", None),
        ("a.bin", "application/octet-stream", b"x", None),
        ("a.html", "", b"<p>One &amp; two</p><script>no()</script><div>three</div>", "One & two\nthree"),
        ("a.html", "", b"<![if x]><!bad <p>x", "x"),
        ("a.docx", "", _word(PARAGRAPHS), "A <b\nc"),
        ("a.docx", "", b"PK not a zip", None),
        ("a.docx", "", _word("<w:p/>")[:40], None),
    ],
)  # fmt: skip
def test_what_can_be_read_in_a_file(name: str, media_type: str, content: bytes, text: str | None) -> None:
    assert text_of(name, media_type, content) == text
