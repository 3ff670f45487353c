"""Files: uploaded, listed, renamed, deleted, and what can be read in them for a call. Refuses to know where their bytes lie."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from aywa.ports.calls import FileText
from aywa.ports.journal import StoreUnavailable
from aywa.ports.store import Documents, FileContents, JsonObject
from aywa.service.clock import Clock, now_ms
from aywa.service.documents import LIST_LIMIT_MAX, json_list, list_query, load, new_document, without_own
from aywa.service.errors import NotFound, Rejected
from aywa.service.file_text import text_of
from aywa.service.once import Asked, made_once
from aywa.service.rules import Obj, Text, check, shown

_log = structlog.get_logger("aywa.service.files")

PURPOSES = ("assistant", "composer-attachment", "knowledge-base-v2")
NAME_LENGTH_MAX = 255
METADATA_LENGTH_MAX = 16_000
FILE_CHANGE = Obj({"name": Text(NAME_LENGTH_MAX)}, example={"name": "opening-hours.txt"})
OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Upload:
    """What came. metadata: JSON text."""

    name: str
    media_type: str
    content: bytes
    purpose: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """A file's bytes. media_type: as it was uploaded with."""

    name: str
    media_type: str
    content: bytes


class Files:
    """The use-cases. Documents leave as JSON text. contents: None where no file can be kept."""

    def __init__(self, documents: Documents, contents: FileContents | None, clock: Clock = now_ms) -> None:
        self._documents = documents
        self._contents = contents
        self._clock = clock

    async def create(
        self, org_id: str, upload: Upload, base_url: str = "", request: Asked | None = None
    ) -> str:
        """Keeps a file, once. Raises Rejected, StoreUnavailable."""
        problems: list[str] = []
        metadata = _metadata(upload.metadata, problems)
        if not 1 <= len(upload.name) <= NAME_LENGTH_MAX:
            problems.append(
                f"file must have a name of 1 to {NAME_LENGTH_MAX} characters, got {len(upload.name)}"
            )
        if upload.purpose is not None and upload.purpose not in PURPOSES:
            problems.append(_not_a_purpose(upload.purpose))
        if problems:
            raise Rejected(problems)
        file_id = str(uuid.uuid4())
        text = await asyncio.to_thread(text_of, upload.name, upload.media_type, upload.content)
        body: JsonObject = {
            "object": "file",
            "status": "done",
            "name": upload.name,
            "originalName": upload.name,
            "bytes": len(upload.content),
            "mimetype": upload.media_type or OCTETS,
            "url": f"{base_url}/file/{file_id}/content",
        }
        if upload.purpose is not None:
            body["purpose"] = upload.purpose
        if metadata is not None:
            body["metadata"] = metadata
        if text is not None:
            body["parsedTextBytes"] = len(text.encode("utf-8", "replace"))
        document = new_document(org_id, self._clock(), body, file_id)
        await self._write(org_id, file_id, upload.content)
        try:
            made = await made_once(self._documents, document, request)
        except BaseException:
            await self._forget(org_id, file_id)
            raise
        if made.id != file_id:
            await self._forget(org_id, file_id)
        return made.text

    async def list(self, org_id: str, parameters: Mapping[str, str]) -> str:
        """A JSON array, newest first; of one `purpose`, where one is named. Raises Rejected."""
        purpose = parameters.get("purpose")
        query = list_query(parameters)
        if purpose is None:
            return json_list(await self._documents.list(org_id, query))
        if purpose not in PURPOSES:
            raise Rejected([_not_a_purpose(purpose)])
        # Looked for among all: the newest of one purpose may be older than the newest of another.
        texts = await self._documents.list(org_id, replace(query, limit=LIST_LIMIT_MAX))
        found = [text for text in texts if json.loads(text).get("purpose") == purpose]
        return json_list(found[: query.limit])

    async def get(self, org_id: str, file_id: str) -> str:
        """Raises NotFound."""
        document = await self._documents.get(org_id, file_id)
        if document is None:
            raise missing(file_id)
        return document.text

    async def content(self, org_id: str, file_id: str) -> Download:
        """Raises NotFound."""
        document = await self._documents.get(org_id, file_id)
        if document is None or self._contents is None:
            raise missing(file_id)
        try:
            content = await self._contents.read(org_id, file_id)
        except OSError as error:
            raise StoreUnavailable(f"a file cannot be read: {type(error).__name__}") from None
        if content is None:
            raise missing(file_id)
        body = load(document)
        return Download(str(body.get("name") or file_id), str(body.get("mimetype") or OCTETS), content)

    async def change(self, org_id: str, file_id: str, change: Any) -> str:
        """Renames it, the only thing that can be changed. Raises NotFound, Rejected."""
        problems = check(FILE_CHANGE, change)
        if isinstance(change, dict):
            change = without_own(change)
            problems += [
                f"{name[:80]} must not be changed: only name can be, got {shown(name, value)}"
                for name, value in change.items()
                if name != "name"
            ]
        if problems:
            raise Rejected(problems)

        def renamed(body: JsonObject) -> JsonObject:
            new: JsonObject = body | change
            if new.get("name", "") is None:
                new["name"] = body["originalName"]
            return new

        document = await self._documents.change(org_id, file_id, self._clock(), renamed)
        if document is None:
            raise missing(file_id)
        return document.text

    async def delete(self, org_id: str, file_id: str) -> str:
        """Answers what was deleted. Raises NotFound."""
        document = await self._documents.delete(org_id, file_id)
        if document is None:
            raise missing(file_id)
        await self._forget(org_id, file_id)
        return document.text

    async def texts(self, org_id: str, ids: Collection[str]) -> dict[str, FileText]:
        """What can be read in those of these files that are there, by id. Raises StoreUnavailable."""
        found: dict[str, FileText] = {}
        for document in await self._documents.of_ids(org_id, ids) if ids else ():
            try:
                file = await self.content(org_id, document.id)
            except NotFound:
                continue
            text = await asyncio.to_thread(text_of, file.name, file.media_type, file.content)
            if text is not None:
                found[document.id] = FileText(document.id, file.name, text)
        return found

    async def _write(self, org_id: str, file_id: str, content: bytes) -> None:
        if self._contents is None:
            raise StoreUnavailable("this runtime keeps no files")
        try:
            await self._contents.write(org_id, file_id, content)
        except OSError as error:
            raise StoreUnavailable(f"a file cannot be written: {type(error).__name__}") from None

    async def _forget(self, org_id: str, file_id: str) -> None:
        if self._contents is not None:
            try:
                await self._contents.remove(org_id, file_id)
            except (OSError, StoreUnavailable) as error:
                _log.warning("file_not_removed", file_id=file_id, error=type(error).__name__)


def missing(file_id: str) -> NotFound:
    """No such file here."""
    return NotFound(f"File {file_id[:80]} does not exist.")


def _not_a_purpose(given: str) -> str:
    value = shown("purpose", given)
    return f"purpose must be one of the following values: {', '.join(PURPOSES)}, got {value}"


def _metadata(text: str | None, problems: list[str]) -> JsonObject | None:
    if text is None or not text.strip():
        return None
    value: Any = None
    if len(text) <= METADATA_LENGTH_MAX:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        problems.append(
            f"metadata must be a JSON object of at most {METADATA_LENGTH_MAX} characters, got {len(text)}"
        )
        return None
    return value
