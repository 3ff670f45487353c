from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aywa.boot.egress import (
    ANY,
    PAGE,
    Destination,
    aws_host,
    of_document,
    of_settings,
    of_store,
    told,
    vendors,
)
from aywa.ports.store import ListQuery, Store

ASSISTANT: dict[str, Any] = {
    "model": {"provider": "openai", "model": "gpt-4.1", "fallbackModels": [{"provider": "groq"}]},
    "voice": {"provider": "custom-voice", "server": {"url": "https://voice.lakeside.com/speak?token=secret"}},
    "transcriber": {"provider": "deepgram"},
    "server": {"url": "https://hooks.lakeside.com:8443/aywa"},
    "backgroundSound": "https://cdn.lakeside.com/rain.mp3",
    "firstMessage": "See https: it is safe.",
}


def places(destinations: Any) -> set[tuple[str, int]]:
    return {(one.host, one.port) for one in destinations}


def test_without_settings_nobody_is_contacted() -> None:
    assert list(of_settings({})) == []
    assert told([]) == []


def test_the_settings_name_them_and_no_secret_is_told() -> None:
    found = list(
        of_settings(
            {
                "RUNTIME_STORE_POSTGRES_URL": "postgresql://aywa:secret@db.lakeside.com/aywa",
                "REDIS_URL": "redis://:secret@10.0.0.7/0",
                "RUNTIME_ARTIFACT_S3_BUCKET": "recordings",
                "RUNTIME_ARTIFACT_S3_REGION": "eu-central-1",
                "RUNTIME_PUBLIC_URL": "https://voice.lakeside.com",
                "RUNTIME_MEDIA_STUN": "stun.lakeside.com, stun:10.0.0.8:3479",
                "RUNTIME_FREESWITCH_HOST": "10.0.0.9",
                "DEEPGRAM_API_KEY": "secret",
                "CARTESIA_BASE_URL": "https://cartesia.lakeside.com",
            }
        )
    )
    assert places(found) == {
        ("db.lakeside.com", 5432),
        ("10.0.0.7", 6379),
        ("recordings.s3.eu-central-1.amazonaws.com", 443),
        ("voice.lakeside.com", 443),
        ("stun.lakeside.com", 3478),
        ("10.0.0.8", 3479),
        ("10.0.0.9", 8021),
        ("api.deepgram.com", 443),
        ("cartesia.lakeside.com", 443),
    }
    assert "secret" not in str(found)


def test_a_socket_s_file_is_no_host() -> None:
    assert (
        list(of_settings({"RUNTIME_STORE_POSTGRES_URL": "postgresql://aywa@/aywa?host=/run/postgresql"}))
        == []
    )


def test_what_customers_wrote_names_them() -> None:
    found = list(of_document(ASSISTANT, "assistant Pat"))
    assert places(found) == {
        ("api.openai.com", 443),
        ("api.groq.com", 443),
        ("voice.lakeside.com", 443),
        ("api.deepgram.com", 443),
        ("hooks.lakeside.com", 8443),
        ("cdn.lakeside.com", 443),
    }
    assert Destination("hooks.lakeside.com", 8443, "server.url", "assistant Pat") in found
    assert "secret" not in str(found)


def test_trunks_templates_and_transfers() -> None:
    trunk = {
        "provider": "byo-sip-trunk",
        "gateways": [{"ip": "203.0.113.7", "port": 5080}, {"ip": "sip.lakeside.com"}],
    }
    assert places(of_document(trunk, "credential Trunk")) == {
        ("203.0.113.7", 5080),
        ("sip.lakeside.com", 5060),
        (ANY, 0),
    }
    transfer = {"destinations": [{"type": "sip", "sipUri": "sip:desk@pbx.lakeside.com"}]}
    assert places(of_document(transfer, "tool Transfer")) == {("pbx.lakeside.com", 5060)}
    assert places(of_document({"url": "https://{{host}}/x"}, "tool Ask")) == {(ANY, 0)}


def test_where_there_are_names_somebody_is_asked_for_them(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("# ours\nnameserver 10.0.0.53\noptions edns0\n")
    number = Destination("10.0.0.7", 1, "w", "s")
    name = Destination("db.lakeside.com", 1, "w", "s")
    assert told([number, number], resolver) == [number]
    assert [one.host for one in told([number, name], resolver)] == [
        "10.0.0.53",
        "10.0.0.7",
        "db.lakeside.com",
    ]
    assert told([name], tmp_path / "none") == [name]


def test_a_provider_s_address_is_the_operator_s_where_he_has_one() -> None:
    addresses = vendors({"OPENAI_BASE_URL": "http://10.0.0.4:8000/v1"})
    found = list(of_document(ASSISTANT, "assistant Pat", addresses=addresses))
    assert ("10.0.0.4", 8000) in places(found)
    assert ("api.openai.com", 443) not in places(found)
    assert ("api.deepgram.com", 443) in places(found)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://aywa:a,b@one.com:5433,two.com/aywa", {("one.com", 5433), ("two.com", 5432)}),
        (
            "postgresql://aywa@/aywa?host=one.com,two.com&port=5433,5434",
            {("one.com", 5433), ("two.com", 5434)},
        ),
        ("postgresql://aywa@/aywa?host=one.com,/run/postgresql&port=5433", {("one.com", 5433)}),
        ("postgresql://[fd00::1]:5433,[fd00::2]/aywa", {("fd00::1", 5433), ("fd00::2", 5432)}),
    ],
)
def test_a_database_may_have_several_servers(url: str, expected: set[tuple[str, int]]) -> None:
    assert places(of_settings({"RUNTIME_STORE_POSTGRES_URL": url})) == expected


def test_who_calls_a_port_that_others_reach_is_answered() -> None:
    assert places(of_settings({"RUNTIME_SIP_HOST": "0.0.0.0"})) == {(ANY, 0)}
    assert places(of_settings({"RUNTIME_HOST": "10.0.0.3"})) == {(ANY, 0)}
    assert places(of_settings({"RUNTIME_HOST": "10.0.0.3", "RUNTIME_SIP_HOST": "127.0.0.1,::1"})) == set()
    assert places(of_settings({"RUNTIME_SIP_HOST": "0.0.0.0", "RUNTIME_SIP_ENABLED": "false"})) == set()
    allowed = {"RUNTIME_OUTBOUND_ALLOW": "+49, sip:*.lakeside.com"}
    assert places(of_settings(allowed)) == {("*.lakeside.com", 0)}


def test_a_proxy_is_contacted_where_anything_goes_by_it() -> None:
    proxy = {"https_proxy": "http://proxy.lakeside.com:3128"}
    assert places(of_settings(proxy)) == set()
    found = places(of_settings(proxy | {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.lakeside.com"}))
    assert found == {("proxy.lakeside.com", 3128), ("collector.lakeside.com", 443)}


class Kept:
    """One kind of document."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.texts = [json.dumps(document) for document in documents]

    async def list(self, org_id: str, query: ListQuery) -> Sequence[str]:
        assert org_id == "org"
        return self.texts[: query.limit]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
def test_a_bucket_of_aws_is_where_its_client_goes(region: str) -> None:
    from botocore.awsrequest import AWSRequest, AWSResponse
    from botocore.config import Config
    from botocore.session import get_session
    from urllib3 import HTTPResponse

    asked: list[str] = []

    def answered(request: AWSRequest, **_: Any) -> AWSResponse:
        asked.append(request.url.split("/")[2])
        return AWSResponse(request.url, 204, {}, HTTPResponse(BytesIO(), preload_content=False))

    client = get_session().create_client(
        "s3",
        region_name=region,
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "auto"}, signature_version="s3v4"),
    )
    client.meta.events.register("before-send.s3", answered)
    buckets = ("recordings", "re.cord", "Recordings", "a-b", "0aa")
    for bucket in buckets:
        client.delete_object(Bucket=bucket, Key="key")
    client.close()
    assert [aws_host(bucket, region) for bucket in buckets] == asked


async def test_of_a_store_everything_is_read_and_our_own_addresses_are_none_of_it() -> None:
    async def organisations() -> Sequence[Any]:
        return [SimpleNamespace(id="org")]

    number = {
        "name": "Desk",
        "sipUri": "sip:desk@us.lakeside.com",
        "server": {"url": "https://desk.lakeside.com"},
    }
    number["fallbackDestination"] = {"type": "sip", "sipUri": "sip:night@pbx.lakeside.com"}
    many = [{"name": str(at), "server": {"url": f"https://{at}.lakeside.com"}} for at in range(PAGE + 1)]
    store = SimpleNamespace(
        organisations=SimpleNamespace(list=organisations),
        assistants=Kept(*many),
        tools=Kept(),
        squads=Kept(),
        phone_numbers=Kept(number),
        credentials=Kept({"provider": "openai"}),
        org_settings=Kept({"server": {"url": "https://all.lakeside.com"}}),
    )
    found = places(await of_store(cast(Store, store), {"OPENAI_BASE_URL": "https://model.lakeside.com"}))
    assert found == {(f"{at}.lakeside.com", 443) for at in range(PAGE + 1)} | {
        ("desk.lakeside.com", 443),
        ("pbx.lakeside.com", 5060),
        ("model.lakeside.com", 443),
        ("all.lakeside.com", 443),
    }
