"""Runs a tool outside of the call, once: fills in what is set, asks whoever knows, and takes out of the answer what is wanted.

It never raises but for being cancelled: whatever happens is an answer, and the call goes on by it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from aywa.call.rules import RuleThreads
from aywa.call.tools.rejections import Said, refuses
from aywa.call.tools.sip_request import sip_request
from aywa.call.tools.templates import Templates, filled, variables_of, with_static
from aywa.core import commands as do
from aywa.core import events as ev
from aywa.core.extraction import clean
from aywa.core.search import Index
from aywa.core.server_messages import tool_calls
from aywa.core.sip.in_dialog import Unsendable
from aywa.core.tool_answers import (
    ToolAnswer,
    destination_answer,
    function_answer,
    http_answer,
    sip_answer,
    text_of,
)
from aywa.core.tool_asking import DONE, FAILURE, REFUSED
from aywa.core.tool_messages import COMPLETE, FAILED, message_for
from aywa.core.tools import API_REQUEST, FUNCTION, MCP, SIP_REQUEST, TRANSFER, Tool
from aywa.ports.calls import FileText
from aywa.ports.errors import Fault, ProviderError
from aywa.ports.server_questions import TOOL_CALLS, TRANSFER_DESTINATION, CallQuestions, Question
from aywa.ports.tools import McpServers, SipDialog, ToolHttp, ToolHttpRequest

REJECTED = "The tool call was refused: the conditions for it are not met."
NO_DIALOG = "The request was not sent: only a call by SIP can carry it, and this one is none."
NOWHERE = "destination must be a number in E.164 form, or a SIP URI."
PASSAGES = 5
FILES_MAX = 100
RETRIES_MAX = 10
"""backoffPlan.maxRetries (contract 7.1)."""
DELAY_MAX_S = 10.0
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_BODILESS = ("GET", "DELETE")

Note = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ToolRoutes:
    """Whoever can be asked for a call's tools; None: nobody can. The customer's servers are Routes.questions. files: by
    id, what query tools search. opened: a tool with what its document keeps secret, never to be put on record."""

    http: ToolHttp | None = None
    mcp: McpServers | None = None
    sip: SipDialog | None = None
    files: Mapping[str, FileText] = field(default_factory=dict, repr=False)
    opened: Callable[[Mapping[str, Any]], Mapping[str, Any]] = field(default=lambda tool: tool, repr=False)


@dataclass(slots=True)
class ToolRuns:
    """Of one call. variables: for templates; what answers tell is put there, too. note: puts on record what nobody decides on."""

    call_id: str
    routes: ToolRoutes
    questions: CallQuestions | None
    threads: RuleThreads
    variables: MutableMapping[str, Any]
    note: Note
    language: str = "en"
    _indices: dict[tuple[str, ...], Index] = field(default_factory=dict)

    async def run(self, command: do.StartTool, tool: Tool, said: Said) -> ev.ToolReturned:
        """What came of it."""
        templates = Templates(self.variables)
        try:
            async with asyncio.timeout(command.timeout_s):
                answer = await self._run(command, tool, said, templates)
        except TimeoutError:
            text = f"The tool did not answer within {command.timeout_s:g} seconds."
            answer = ToolAnswer(FAILURE, text, detail="deadline")
        except ProviderError as error:
            answer = ToolAnswer(FAILURE, f"The tool failed: {error}.", detail=error.code)
        except Exception as error:  # noqa: BLE001 - whatever a tool's answer brought about is its failure and no more
            answer = ToolAnswer(FAILURE, "The tool failed.", detail=type(error).__name__)
        variables: dict[str, Any] = {}
        if answer.status == DONE and answer.body is not None:
            variables = variables_of(tool.written.get("variableExtractionPlan"), answer.body, templates)
            self.variables.update(variables)
        if answer.said is None:
            answer = self._filled_in(answer, tool, command, templates.beneath(self.variables))
        for problem in dict.fromkeys(templates.problems):
            self.note("TemplateProblem", {"detail": f"{tool.name}: {problem}"})
        return ev.ToolReturned(
            command.run,
            answer.status,
            clean(answer.result),
            None if answer.said is None else clean(answer.said),
            answer.ends_call,
            variables,
            clean(answer.detail),
            clean(answer.excerpt),
            answer.destination,
        )

    def _filled_in(
        self, answer: ToolAnswer, tool: Tool, command: do.StartTool, templates: Templates
    ) -> ToolAnswer:
        """What the assistant has set to be said when it is done may say what the answer told."""
        if answer.status == REFUSED:
            return answer
        kind = COMPLETE if answer.status == DONE else FAILED
        message = message_for(tool.messages, kind, command.arguments)
        text = "" if message is None else message.text(self.language)
        if message is None or "{{" not in text or message.role == "system":
            return answer
        said = templates.text(text, f"messages.{kind}")
        return replace(answer, said=said, ends_call=message.ends_call)

    async def _run(self, command: do.StartTool, tool: Tool, said: Said, templates: Templates) -> ToolAnswer:
        if await refuses(tool.written.get("rejectionPlan"), said, templates, self.threads):
            return ToolAnswer(REFUSED, REJECTED, detail="rejectionPlan")
        arguments = with_static(tool.written, command.arguments, templates)
        if tool.kind == TRANSFER:
            return await self._seek(command, tool, said)
        if tool.kind == FUNCTION:
            return await self._ask_server(command, tool, arguments, said)
        if tool.kind == API_REQUEST:
            return await self._request(command, tool, arguments, templates)
        if tool.kind == MCP:
            return await self._ask_mcp(tool, arguments)
        if tool.kind == SIP_REQUEST:
            return await self._send_sip(command, tool, arguments, templates)
        return await self._search(tool, arguments)

    # --- a customer's server ---------------------------------------------------------------------------------------

    async def _ask_server(
        self, command: do.StartTool, tool: Tool, arguments: Mapping[str, Any], said: Said
    ) -> ToolAnswer:
        if self.questions is None:
            raise _nobody("a server for its tools")
        call = (command.call_id, tool.name, json.dumps(arguments))
        server = tool.written.get("server")
        question = Question(
            TOOL_CALLS,
            tool_calls([call], {tool.name: tool.written}),
            tuple(said.messages),
            tuple(said.chat),
            server if isinstance(server, Mapping) else None,
            command.timeout_s,
        )
        answered = await self.questions.ask(question, self.note)
        return function_answer(answered.body, command.call_id)

    async def _seek(self, command: do.StartTool, tool: Tool, said: Said) -> ToolAnswer:
        """Where a transfer goes."""
        if self.questions is None:
            return ToolAnswer(FAILURE, NOWHERE, detail="no_server")
        server = tool.written.get("server")
        question = Question(
            TRANSFER_DESTINATION,
            {},
            tuple(said.messages),
            tuple(said.chat),
            server if isinstance(server, Mapping) else None,
            command.timeout_s,
        )
        try:
            answered = await self.questions.ask(question, self.note)
        except ProviderError as error:
            if error.code != "no_server":
                raise
            return ToolAnswer(FAILURE, NOWHERE, detail=error.code)
        destination, why = destination_answer(answered.body)
        status = DONE if destination else FAILURE
        return ToolAnswer(
            status, why, detail="" if destination else "no destination", destination=destination
        )

    # --- HTTP ------------------------------------------------------------------------------------------------------

    async def _request(
        self, command: do.StartTool, tool: Tool, arguments: Mapping[str, Any], templates: Templates
    ) -> ToolAnswer:
        http = self.routes.http
        if http is None:
            raise _nobody("requests over HTTP")
        opened = self.routes.opened(tool.written)
        request = http_request(opened, arguments, templates.beneath(arguments), self.call_id)
        plan = tool.written.get("backoffPlan")
        attempt = 0
        while True:
            attempt += 1
            # On record before it leaves.
            self.note("ToolRequested", _requested(command, request, attempt))
            try:
                answered = await http.send(request)
            except ProviderError as error:
                wait_s = retry_in_s(plan, attempt, None)
                if wait_s is None or error.fault is Fault.CONFIG:
                    raise
            else:
                wait_s = retry_in_s(plan, attempt, answered.status)
                if wait_s is None:
                    return http_answer(answered.status, answered.body)
            await asyncio.sleep(wait_s)

    # --- MCP -------------------------------------------------------------------------------------------------------

    async def _ask_mcp(self, tool: Tool, arguments: Mapping[str, Any]) -> ToolAnswer:
        if self.routes.mcp is None:
            raise _nobody("MCP servers")
        answered = await self.routes.mcp.run(tool.written, tool.remote, arguments)
        status = FAILURE if answered.failed else DONE
        return ToolAnswer(status, answered.text, answered.body, detail="isError" if answered.failed else "")

    async def found(self, tool: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """What an MCP server can do. Raises ProviderError."""
        if self.routes.mcp is None:
            raise _nobody("MCP servers")
        return await self.routes.mcp.tools(tool)

    # --- SIP -------------------------------------------------------------------------------------------------------

    async def _send_sip(
        self, command: do.StartTool, tool: Tool, arguments: Mapping[str, Any], templates: Templates
    ) -> ToolAnswer:
        dialog = self.routes.sip
        if dialog is None or not dialog.up:
            return ToolAnswer(FAILURE, NO_DIALOG, detail="no_dialog")
        try:
            opened = self.routes.opened(tool.written)
            request = sip_request(opened, arguments, templates.beneath(arguments))
        except Unsendable as error:
            return ToolAnswer(FAILURE, f"The request was not sent: {error}.", detail="bad_request")
        # On record before it leaves.
        self.note("ToolRequested", {"run": command.run, "attempt": 1, "method": request.verb})
        answered = await dialog.send(request)
        return sip_answer(request.verb, answered.status, answered.reason)

    # --- files -----------------------------------------------------------------------------------------------------

    async def _search(self, tool: Tool, arguments: Mapping[str, Any]) -> ToolAnswer:
        wanted = file_ids(tool.written)
        index = self._indices.get(wanted)
        if index is None:
            files = [self.routes.files[each] for each in wanted if each in self.routes.files]
            made = await self.threads.offload(lambda: _index(files))
            if made is None:
                raise ProviderError(
                    "query", "busy", "too many searches wait", fault=Fault.RUNTIME, retryable=True
                )
            index = self._indices[wanted] = made
        query = text_of(arguments.get("query") or "")
        hits = index.search(query, PASSAGES)
        listed = [{"source": hit.passage.source, "text": hit.passage.text} for hit in hits]
        if not listed:
            return ToolAnswer(DONE, "Nothing was found in the knowledge base.", {"documents": []})
        told = "\n\n".join(f"[{each['source']}] {each['text']}" for each in listed)
        return ToolAnswer(DONE, told, {"documents": listed})


def http_request(
    tool: Mapping[str, Any], arguments: Mapping[str, Any], templates: Templates, call_id: str
) -> ToolHttpRequest:
    """What an apiRequest asks, as it leaves. Raises ProviderError: it cannot leave like this."""
    url = templates.address(str(tool.get("url") or ""))
    method = str(tool.get("method") or "POST").upper()
    if method not in METHODS:
        raise _wrong(f"its method is not one of {', '.join(METHODS)}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong("its url is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong("its url is not one of HTTP")
    headers = header_fields(filled(tool.get("headers"), {}, templates, "headers"))
    body = None
    if method not in _BODILESS:
        made = filled(tool.get("body"), arguments, templates, "body") if tool.get("body") else arguments
        body = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
        headers = {"Content-Type": "application/json", **headers}
    access = {name: tool[name] for name in ("credentialId", "secretsId") if name in tool}
    return ToolHttpRequest(method, url, {**headers, "X-Call-Id": call_id}, body, access)


def header_fields(value: Any) -> dict[str, str]:
    """Texts by name; a line end in one would begin another header, and is refused. Raises ProviderError."""
    fields = {
        str(name): each if isinstance(each, str) else text_of(each)
        for name, each in (value if isinstance(value, Mapping) else {}).items()
        if each is not None
    }
    if any(
        ord(character) < 32 or ord(character) == 127
        for pair in fields.items()
        for text in pair
        for character in text
    ):
        raise _wrong("a header holds a line end or the like")
    return fields


def retry_in_s(plan: Any, attempt: int, status: int | None) -> float | None:
    """When the next attempt leaves, by the tool's backoffPlan (contract 7.1); None: there is none. status: None where nobody
    answered."""
    written = plan if isinstance(plan, Mapping) else {}
    retries, delay = written.get("maxRetries"), written.get("baseDelaySeconds")
    if not isinstance(retries, int) or attempt > min(retries, RETRIES_MAX):
        return None
    excluded = written.get("excludedStatusCodes")
    if status is not None and (200 <= status < 300 or (isinstance(excluded, list) and status in excluded)):
        return None
    base_s = min(max(float(delay), 0.0), DELAY_MAX_S) if isinstance(delay, int | float) else 0.0
    return base_s * 2 ** (attempt - 1) if written.get("type") == "exponential" else base_s


def file_ids(tool: Mapping[str, Any]) -> tuple[str, ...]:
    """Of all knowledge bases of a query tool."""
    bases = tool.get("knowledgeBases")
    found: list[str] = []
    for base in bases if isinstance(bases, list) else []:
        ids = base.get("fileIds") if isinstance(base, Mapping) else None
        found += [each for each in ids if isinstance(each, str)] if isinstance(ids, list) else []
    return tuple(dict.fromkeys(found))[:FILES_MAX]


def _index(files: Sequence[FileText]) -> Index:
    return Index((each.name, each.text) for each in files)


def _requested(command: do.StartTool, request: ToolHttpRequest, attempt: int) -> dict[str, Any]:
    parts = urlsplit(request.url)
    # Without its query, which may hold a key.
    where = f"{parts.scheme}://{parts.hostname}{parts.path}"[:200]
    return {"run": command.run, "attempt": attempt, "method": request.method, "url": where}


def _nobody(what: str) -> ProviderError:
    return ProviderError("tool", "no_server", f"this call has no {what}", fault=Fault.CONFIG, retryable=False)


def _wrong(message: str) -> ProviderError:
    return ProviderError("tool", "bad_request", message, fault=Fault.CONFIG, retryable=False)
