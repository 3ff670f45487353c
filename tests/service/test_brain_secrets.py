"""What is secret in an assistant, a squad or a tool: taken out, kept by a change, put beside a call. Whatever the document."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aywa.ports.calls import ProviderKey, whole_of
from aywa.service.brain_secrets import hidden, kept_brain, split_brain
from aywa.service.secret_fields import joined

SECRET = "hush-hush"
NAMES = st.sampled_from(
    [
        "server",
        "secret",
        "headers",
        "type",
        "model",
        "tools",
        "name",
        "credentials",
        "metadata",
        "url",
        "serverUrlSecret",
    ]
)
LEAVES = st.sampled_from([SECRET, "apiRequest", "x", None, True, 1])
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, DOCUMENTS, max_size=4)
QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@QUICK
@given(OBJECTS)
def test_what_is_taken_out_can_be_put_back(document: dict[str, Any]) -> None:
    public, secrets = split_brain(document)
    assert joined(public, secrets) == document
    assert split_brain(public)[1] == []


@QUICK
@given(OBJECTS)
def test_who_sends_back_what_he_read_keeps_every_secret(document: dict[str, Any]) -> None:
    public, _ = split_brain(document)
    assert kept_brain(public, document) == document


@QUICK
@given(OBJECTS, OBJECTS)
def test_no_change_and_no_document_is_too_strange(change: dict[str, Any], document: dict[str, Any]) -> None:
    kept = kept_brain(change, document)
    assert kept.keys() == change.keys() | (
        {"serverUrlSecret"} if document.get("serverUrlSecret") is not None else set()
    )
    keys: dict[str, ProviderKey] = {}
    assert isinstance(hidden(document, keys), dict)


def _tool(name: str, **server: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}, "server": {"url": "https://e.com", **server}}


def test_a_secret_follows_its_tool_when_the_list_is_reordered() -> None:
    old = {"model": {"tools": [_tool("a", secret="1"), _tool("b", secret="2")]}}
    change = {"model": {"tools": [_tool("b"), _tool("new"), _tool("a", secret=None)]}}
    tools = kept_brain(change, old)["model"]["tools"]
    assert [tool["server"].get("secret", "none") for tool in tools] == ["2", "none", None]


def test_each_server_has_secrets_of_its_own_in_a_call() -> None:
    brain = {
        "server": {"url": "u", "headers": {"Authorization": SECRET}},
        "model": {"tools": [_tool("a", secret="1"), _tool("b")]},
        "metadata": {"server": {"secret": "data, not ours"}},
    }
    keys: dict[str, ProviderKey] = {"openai": ProviderKey("sk")}
    public = hidden(brain, keys)
    first, second = public["model"]["tools"]
    assert whole_of(keys, public["server"]) == brain["server"]
    assert whole_of(keys, first["server"]) == {"url": "https://e.com", "secret": "1"}
    assert second == _tool("b")
    assert public["metadata"] == brain["metadata"]
    assert len(keys) == 3
    assert SECRET not in repr(keys)
