from __future__ import annotations

import pytest

from aywa.boot.errors import CannotStart
from aywa.boot.node_settings import NodeSettings, node_from_environment


def test_without_a_word_a_runtime_is_alone_and_ends_its_calls_at_once() -> None:
    assert node_from_environment({}) == NodeSettings("", 0, 15.0)
    assert node_from_environment({}, drain_max_s=600).drain_max_s == 600


def test_what_is_set() -> None:
    given = {
        "REDIS_URL": "redis://:secret@cache:6379/0 ",
        "RUNTIME_DRAIN_MAX_S": "90",
        "RUNTIME_NODE_DEAD_S": "5",
    }
    settings = node_from_environment(given, drain_max_s=600)
    assert settings == NodeSettings("redis://:secret@cache:6379/0", 90, 5.0)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "cache:6379"),
        ("REDIS_URL", "http://:hunter2@cache"),
        ("RUNTIME_DRAIN_MAX_S", "long"),
        ("RUNTIME_DRAIN_MAX_S", "86401"),
        ("RUNTIME_NODE_DEAD_S", "1"),
        ("RUNTIME_NODE_DEAD_S", "601"),
    ],
)
def test_what_cannot_be_is_named_and_not_repeated_if_it_is_secret(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=name) as told:
        node_from_environment({name: value})
    assert "hunter2" not in str(told.value)
