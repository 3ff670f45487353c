"""As much of Asterisk's dialplan as the guide uses: extensions.conf as text, one channel that walks through it.

Written from Asterisk's documentation ("Extensions, Contexts, Priorities", "Variables", the applications and functions named
here). What it does not know it refuses, so that the guide cannot use what nobody tried.
"""

from __future__ import annotations

import base64
import math
import re
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote
from uuid import UUID

STEPS_MOST = 200
PATIENCE_S = 20.0
QUIET_S = 1.0


@dataclass(frozen=True)
class Step:
    label: str
    application: str


Extension = list[Step]


def read(text: str) -> dict[str, dict[str, Extension]]:
    """Contexts, their extensions, and the steps of each. A context that is written twice goes on."""
    contexts: dict[str, dict[str, Extension]] = {}
    context: dict[str, Extension] = {}
    steps: Extension = []
    for line in text.splitlines():
        line = line.partition(";")[0].strip()
        if heading := re.fullmatch(r"\[([\w-]+)\]", line):
            context = contexts.setdefault(heading[1], {})
        elif first := re.fullmatch(r"exten => ([^,]+),1,(.+)", line):
            steps = context[first[1]] = [Step("", first[2])]
        elif further := re.fullmatch(r"same => n(?:\((\w+)\))?,(.+)", line):
            steps.append(Step(further[1] or "", further[2]))
        elif line:
            raise AssertionError(f"no line of a dialplan: {line}")
    return contexts


@dataclass
class Heard:
    """What an AudioSocket brought: frames with sound in them, and who ended it."""

    frames: int = 0
    by_far: bool = False


@dataclass
class Channel:
    """dialled: what each Dial() is to come to, in order: DIALSTATUS and HANGUPCAUSE. speak_s: for how long AudioSocket() stays
    when the far side does not end it. enough: so many frames of sound are. on_quiet: called once, when the agent has spoken."""

    contexts: Mapping[str, Mapping[str, Extension]]
    uniqueid: str = "1700000000.1"
    caller: Mapping[str, str] = field(default_factory=dict)
    dialled: list[tuple[str, str]] = field(default_factory=list)
    speak_s: float = 3.0
    enough: float = math.inf
    on_quiet: Callable[[socket.socket], None] = lambda connected: None
    variables: dict[str, str] = field(default_factory=dict)
    dials: list[str] = field(default_factory=list)
    curled: list[str] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    hung_up: bool = False

    def run(self, context: str, extension: str) -> None:
        """To its end."""
        self.variables["EXTEN"] = extension
        steps, at = self._find(context, extension), 0
        for _ in range(STEPS_MOST):
            if self.hung_up or at >= len(steps):
                return
            name, _, inside = steps[at].application.partition("(")
            assert inside.endswith(")"), steps[at]
            jump = self._do(name, inside[:-1])
            at += 1
            if jump:
                *where, label = jump
                if where:
                    steps = self._find(where[0] if len(where) > 1 else context, where[-1])
                at = 0 if label == "1" else next(n for n, step in enumerate(steps) if step.label == label)
        raise AssertionError("the dialplan runs in a circle")

    def _find(self, context: str, extension: str) -> Extension:
        extensions = self.contexts[context]
        for name, steps in extensions.items():
            pattern = (
                name[1:].replace("+", r"\+").replace(r"[\+", "[+").replace("X", "[0-9]").replace(".", ".+")
            )
            if name == extension or (name.startswith("_") and re.fullmatch(pattern, extension)):
                return steps
        raise AssertionError(f"no extension {extension} in {context}")

    # --- applications --------------------------------------------------------------------------------------------

    def _do(self, name: str, inside: str) -> list[str] | None:
        if name == "Set":
            variable, _, value = inside.partition("=")
            self.variables[variable] = self.expand(value)
            return None
        arguments = split(self.expand(inside))
        match name:
            case "Answer":
                pass
            case "Hangup":
                self.hung_up = True
            case "Goto":
                return arguments
            case "GotoIf":
                condition, _, target = ",".join(arguments).partition("?")
                return split(target) if condition not in ("", "0") else None
            case "AudioSocket":
                self._audio_socket(*arguments)
            case "Dial":
                self.dials.append(",".join(arguments))
                self.variables["DIALSTATUS"], self.variables["HANGUPCAUSE"] = self.dialled.pop(0)
            case _:
                raise AssertionError(f"no application {name}")
        return None

    def _audio_socket(self, call: str, address: str) -> None:
        host, _, port = address.rpartition(":")
        end_s = time.monotonic() + self.speak_s
        frame = struct.pack("!BH", 0x10, 320) + bytes(320)
        with socket.create_connection((host, int(port)), PATIENCE_S) as connected:
            connected.sendall(struct.pack("!BH", 1, 16) + UUID(call).bytes)
            connected.settimeout(0.02)
            buffered = bytearray()
            quiet_s, told = math.inf, False
            while time.monotonic() < end_s and self.heard.frames < self.enough:
                if time.monotonic() > quiet_s and not told:
                    told = True
                    self.on_quiet(connected)
                try:
                    connected.sendall(frame)
                    some = connected.recv(65_536)
                except TimeoutError:
                    continue
                except ConnectionError:
                    some = b""
                buffered += some
                before = self.heard.frames
                if not some or not self._listen(buffered):
                    self.heard.by_far = True
                    return
                if self.heard.frames > before:
                    quiet_s = time.monotonic() + QUIET_S
            connected.sendall(b"\0\0\0")

    def _listen(self, buffered: bytearray) -> bool:
        """False: the far side hung up."""
        while len(buffered) >= 3:
            kind, size = struct.unpack_from("!BH", buffered)
            if len(buffered) < 3 + size:
                return True
            payload = bytes(buffered[3 : 3 + size])
            del buffered[: 3 + size]
            if kind == 0:
                return False
            self.heard.frames += kind == 0x10 and payload.strip(b"\0") != b""
        return True

    # --- variables, functions, expressions -----------------------------------------------------------------------

    def expand(self, text: str) -> str:
        """${...} and $[...], from the inside."""
        found = ""
        while text:
            at = min((place for place in (text.find("${"), text.find("$[")) if place >= 0), default=-1)
            if at < 0:
                return found + text
            inside, rest = enclosed(text[at + 1 :])
            found += text[:at] + (self._value(inside) if text[at + 1] == "{" else self._judged(inside))
            text = rest
        return found

    def _judged(self, inside: str) -> str:
        both = re.fullmatch(r'"(.*)" = "(.*)"', self.expand(inside))
        assert both is not None, f"no expression: {inside}"
        return str(int(both[1] == both[2]))

    def _value(self, inside: str) -> str:
        name, bracket, rest = inside.partition("(")
        if not bracket:
            return self.uniqueid if inside == "UNIQUEID" else self.variables.get(inside, "")
        assert rest.endswith(")"), inside
        arguments = rest[:-1]
        match name:
            case "CUT":
                variable, delimiter, field_ = arguments.split(",")
                parts = self.variables.get(variable, "").split(delimiter)
                return parts[int(field_) - 1] if int(field_) <= len(parts) else ""
            case "URIENCODE":
                return quote(self.expand(arguments), safe="")
            case "CALLERID":
                return self.caller.get(arguments, "")
            case "IF":
                condition, _, both = self.expand(arguments).partition("?")
                true, _, false = both.partition(":")
                return true if condition == "1" else false
            case "CURL":
                return self._curl(self.expand(arguments))
            case _:
                raise AssertionError(f"no function {name}")

    def _curl(self, url: str) -> str:
        self.curled.append(url)
        who = base64.b64encode(self.variables.get("CURLOPT(userpwd)", "").encode()).decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {who}"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return str(error.read().decode())


def enclosed(text: str) -> tuple[str, str]:
    """What stands in the first brackets, and what after them."""
    close = {"{": "}", "[": "]"}[text[0]]
    depth = 0
    for at, each in enumerate(text):
        depth += (each == text[0]) - (each == close)
        if depth == 0:
            return text[1:at], text[at + 1 :]
    raise AssertionError(f"a bracket is not closed: {text}")


def split(text: str) -> list[str]:
    """At commas outside of brackets."""
    parts, depth = [""], 0
    for each in text:
        depth += (each in "([") - (each in ")]")
        if each == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += each
    return parts
