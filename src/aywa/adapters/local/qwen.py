"""Qwen in the child, run by llama.cpp: one chat completion at a time, streamed, stopped within a batch of tokens."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_CONTEXT_TOKENS = 4096
_BATCH_TOKENS = 32
"""Prompt tokens between two chances to stop: about 0.2 s on two cores, and no slower than 512."""
_CACHE_MIB = 16
"""Prompts of other calls, kept to come back to: about 12 kB a token."""
_NICE = 5
"""Recognition and speech go before generation: measured, 10 starves it when anything else runs on the machine."""
_TOOL_CALL = re.compile(r"\s*(?:<tool_call>\s*|```(?:json)?\s*)?\{")

Emit = Callable[[Mapping[str, Any]], None]
Stopped = Callable[[], bool]


class Qwen:
    """model: a GGUF file. threads: 2 is best on two cores. Use from one thread, the one that made it."""

    def __init__(self, model: Path, threads: int) -> None:
        import xllamacpp

        if not model.is_file():
            raise FileNotFoundError(f"{model} is missing")
        _read_ahead(model)
        thread = threading.get_native_id()
        ours = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(ours + _NICE, 19))  # llama.cpp's own threads inherit it
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(model)
        parameters.n_ctx = _CONTEXT_TOKENS
        parameters.n_parallel = 1
        parameters.n_batch = parameters.n_ubatch = _BATCH_TOKENS
        parameters.cache_ram_mib = _CACHE_MIB
        # As fast as 16 bits here, and 23 MB less; weights repacked a second time for the processor: 28 MB for nothing.
        parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
        parameters.no_extra_bufts = True
        parameters.n_threads_http = 1
        parameters.warmup = False
        parameters.verbosity = 0
        for cores in (parameters.cpuparams, parameters.cpuparams_batch):
            cores.n_threads = threads
            cores.poll = 0  # waiting threads must not burn the core that recognition needs
        self._server = _server_without_a_door(parameters)

    def complete(self, request: Mapping[str, Any], emit: Emit, stopped: Stopped) -> None:
        """Emits {"text"} and {"tool"} pieces, then one {"finished"}. Returns early, without it, when stopped."""
        answer = _Answer(emit, bool(request.get("tools")))

        def told(event: Mapping[str, Any]) -> bool:
            if stopped():
                return True
            answer.take(event)
            return False

        self._server.handle_chat_completions(dict(body(request)), told)
        if not stopped():
            answer.finish()


def _read_ahead(model: Path) -> None:
    """The weights are mapped, not read: without this the first answer would fetch them from the disk page by page."""
    if hasattr(os, "posix_fadvise"):
        with model.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _server_without_a_door(parameters: Any) -> Any:
    """llama.cpp's server, of which we use no HTTP. Left alone it answers anybody on a loopback port, web pages included;
    it insists on some address, so it gets a socket file that nobody can open, and a key that nobody knows."""
    import xllamacpp

    folder = tempfile.mkdtemp(prefix="aywa-")
    try:
        parameters.hostnames = [f"{folder}/llama.sock"]
        parameters.api_keys = [secrets.token_hex(32)]
        parameters.endpoint_slots = parameters.endpoint_props = False
        parameters.ui = False
        return xllamacpp.Server(parameters)
    finally:
        shutil.rmtree(folder)


def body(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request in OpenAI's form, as llama.cpp takes it."""
    made: dict[str, Any] = {
        "messages": list(request["messages"]),
        "max_tokens": request["max_tokens"],
        "temperature": request["temperature"],
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": True,
        "return_progress": True,
    }
    if request.get("tools"):
        made["tools"] = list(request["tools"])
    return made


class _Answer:
    """Collects one completion's events. Text that may be a tool call written as JSON is held back until it is known."""

    def __init__(self, emit: Emit, tools: bool) -> None:
        self._emit = emit
        self._may_be_tool = tools
        self._held = ""
        self._tools = 0
        self._reason = "stop"
        self._usage: Mapping[str, Any] = {}
        self._error = ""

    def take(self, event: Mapping[str, Any]) -> None:
        self._usage = event.get("usage") or self._usage
        if "error" in event:
            self._error = str(event["error"].get("message", event["error"]))
        for choice in event.get("choices") or ():
            self._reason = choice.get("finish_reason") or self._reason
            delta = choice.get("delta") or {}
            for call in delta.get("tool_calls") or ():
                self._call(call)
            if text := delta.get("content"):
                self._text(text)

    def finish(self) -> None:
        if self._error:
            raise RuntimeError(self._error)
        if self._held:
            self._let_go()
        details = self._usage.get("prompt_tokens_details") or {}
        self._emit(
            {
                "finished": "tool_calls" if self._tools else self._reason,
                "prompt_tokens": int(self._usage.get("prompt_tokens", 0)),
                "cached_tokens": int(details.get("cached_tokens", 0)),
                "completion_tokens": int(self._usage.get("completion_tokens", 0)),
            }
        )

    def _text(self, text: str) -> None:
        if not self._may_be_tool:
            self._emit({"text": text})
            return
        self._held += text
        # "Sure, ..." is an answer; "{", "```json" and "<tool_call>" may begin a call
        if (start := self._held.lstrip()) and start[0] not in "{<`":
            self._may_be_tool = False
            self._emit({"text": self._held})
            self._held = ""

    def _call(self, call: Mapping[str, Any]) -> None:
        function = call.get("function") or {}
        index = int(call.get("index", 0))
        self._tools = max(self._tools, index + 1)
        tool = [index, call.get("id") or "", function.get("name") or "", function.get("arguments") or ""]
        self._emit({"tool": tool})

    def _let_go(self) -> None:
        calls = written_calls(self._held)
        for name, arguments in calls:
            self._emit({"tool": [self._tools, f"call_{self._tools}", name, arguments]})
            self._tools += 1
        if not calls:
            self._emit({"text": self._held})


def written_calls(text: str) -> list[tuple[str, str]]:
    """Tool calls that the model wrote as text, as (name, arguments in JSON); braces may be doubled."""
    if not _TOOL_CALL.match(text):
        return []
    decoder = json.JSONDecoder()
    for candidate in (text, text.replace("{{", "{").replace("}}", "}")):
        calls = []
        at = candidate.find("{")
        while at >= 0:
            try:
                value, end = decoder.raw_decode(candidate, at)
            except ValueError:
                break
            if isinstance(value, dict) and isinstance(value.get("name"), str):
                calls.append((value["name"], json.dumps(value.get("arguments", value.get("parameters", {})))))
            at = candidate.find("{", end)
        if calls:
            return calls
    return []
