"""What is said to FreeSWITCH on an event socket, as bytes (mod_event_socket: Command Documentation; mod_commands; mod_dptools).

A command ends with an empty line, so nothing in it may hold a line end. Names and numbers that come from elsewhere go into dial
strings and lists of variables, which have separators of their own: what could be one is refused (`Unsendable`), or, where it is
only shown to somebody, left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

COMMAND_MAX_BYTES = 65_536
# An argument longer than this goes into the message's body (mod_event_socket, sendmsg).
LINE_MAX_BYTES = 1_024
JSON, PLAIN = "json", "plain"
UUID = re.compile(r"[0-9A-Za-z-]{1,64}\Z")
WORD = re.compile(r"[0-9A-Za-z_.-]{1,64}\Z")
DIALLED = re.compile(r"[0-9A-Za-z+*#._-]{1,64}\Z")
# Without , | ' " \ $ { } ( ) < > and blanks: they have a meaning in dial strings.
SIP_URI = re.compile(r"sips?:[0-9A-Za-z+*#._~!%&=:;?/@\[\]-]{1,500}\Z", re.IGNORECASE)
KEYS = re.compile(r"[0-9A-DwW*#]{1,200}\Z")
_LINE_END = re.compile(r"[\r\n\0]")
_SHOWN = re.compile(r"[^\w +.@:/#*-]")


class Unsendable(ValueError):
    """It would mean something else than it says."""


def login(password: str, user: str = "") -> bytes:
    """To a listening FreeSWITCH. user: user@domain, whose rights its directory names; empty for the socket's own password."""
    return _command(f"userauth {user}:{password}" if user else f"auth {password}")


def connect() -> bytes:
    """To a FreeSWITCH that came to us: it answers with all of its channel."""
    return _command("connect")


def api(command: str, argument: str = "") -> bytes:
    """Answered when it is done; nothing else is answered meanwhile."""
    return _command(f"api {_word(command)} {argument}".rstrip())


def background(command: str, argument: str, job: str) -> bytes:
    """Answered at once; its outcome is a BACKGROUND_JOB of that Job-UUID."""
    return _command(f"bgapi {_word(command)} {argument}".rstrip(), f"Job-UUID: {checked(job, UUID)}")


def events(kind: str, names: Sequence[str], subclasses: Sequence[str] = ()) -> bytes:
    """Tells these from now on. subclasses: of CUSTOM, which goes last."""
    custom = ["CUSTOM", *subclasses] if subclasses else []
    return _command(" ".join(["event", kind, *names, *custom]))


def my_events(kind: str) -> bytes:
    """Tells those of the one channel of this connection."""
    return _command(f"myevents {kind}")


def add_filter(name: str, value: str) -> bytes:
    """Tells only events with one of the filters' fields."""
    return _command(f"filter {_word(name)} {value}")


def remove_filter(name: str, value: str) -> bytes:
    """No more those with this."""
    return _command(f"filter delete {_word(name)} {value}")


def linger(time_s: int) -> bytes:
    """Tells what happens to the channel for so long after its end."""
    return _command(f"linger {time_s}")


def leave() -> bytes:
    """Closes the connection in order."""
    return _command("exit")


def execute(
    application: str, argument: str = "", uuid: str = "", event_uuid: str = "", *, lock: bool = False
) -> bytes:
    """Runs an application of the dialplan on a channel: on the connection's own without a uuid. event_uuid: by which its
    CHANNEL_EXECUTE_COMPLETE is known (Application-UUID). lock: what is sent after it waits for its end."""
    first = f"sendmsg {checked(uuid, UUID)}" if uuid else "sendmsg"
    lines = ["call-command: execute", f"execute-app-name: {_word(application)}"]
    if event_uuid:
        lines.append(f"Event-UUID: {checked(event_uuid, UUID)}")
    if lock:
        lines.append("event-lock: true")
    body = argument.encode()
    if len(body) <= LINE_MAX_BYTES:
        if argument:
            lines.append(f"execute-app-arg: {argument}")
        return _command(first, *lines)
    lines += ["content-type: text/plain", f"content-length: {len(body)}"]
    _checked_lines([argument])
    return _command(first, *lines) + body


def hang_up(cause: str = "NORMAL_CLEARING", uuid: str = "") -> bytes:
    """Ends a channel: the connection's own without a uuid."""
    first = f"sendmsg {checked(uuid, UUID)}" if uuid else "sendmsg"
    return _command(first, "call-command: hangup", f"hangup-cause: {_word(cause)}")


# --- parts -----------------------------------------------------------------------------------------------------------


def checked(text: str, form: re.Pattern[str]) -> str:
    """The text, which has that form. Raises Unsendable."""
    if form.match(text) is None:
        raise Unsendable(f"{text[:80]!r} cannot be sent to FreeSWITCH")
    return text


def shown(text: str) -> str:
    """What of a text may stand in a variable that is only shown: a caller's name."""
    return _SHOWN.sub("", text)[:80].strip()


def variables(values: Mapping[str, str]) -> str:
    """The list before a dial string, {a=1,b='x y'}. Raises Unsendable."""
    parts = []
    for name, value in values.items():
        if _SHOWN.search(value) is not None:
            raise Unsendable(f"variable {name} cannot be sent to FreeSWITCH")
        parts.append(f"{_word(name)}='{value}'" if " " in value else f"{_word(name)}={value}")
    return "{" + ",".join(parts) + "}" if parts else ""


def dial_string(template: str, gateway: str, number: str) -> str:
    """template: the operator's own, with {gateway} and {number}. Raises Unsendable."""
    places = {"gateway": (gateway, WORD), "number": (number, DIALLED)}
    made = template
    for name, (value, form) in places.items():
        if "{" + name + "}" in template:
            made = made.replace("{" + name + "}", checked(value, form))
    return made


def dial_uri(profile: str, uri: str) -> str:
    """A SIP URI that is called directly by a profile of mod_sofia. Raises Unsendable."""
    address = checked(uri, SIP_URI)
    if ":_:" in address or address.count("@") > 1:
        raise Unsendable(f"{uri[:80]!r} cannot be sent to FreeSWITCH")
    return f"sofia/{checked(profile, WORD)}/{address}"


def originate(values: Mapping[str, str], dialled: str, application: str = "park") -> str:
    """The argument of `originate`: the call, and what it does when it is answered. Raises Unsendable."""
    return f"{variables(values)}{dialled} &{_word(application)}()"


def _word(text: str) -> str:
    return checked(text, WORD)


def _command(*lines: str) -> bytes:
    _checked_lines(lines)
    made = ("\n".join(lines) + "\n\n").encode()
    if len(made) > COMMAND_MAX_BYTES:
        raise Unsendable("a command for FreeSWITCH is too long")
    return made


def _checked_lines(lines: Sequence[str]) -> None:
    if any(_LINE_END.search(line) for line in lines):
        # Not shown: it may be a password.
        raise Unsendable("a command for FreeSWITCH must not hold a line end")
