"""A full run in a network namespace, with all that leaves it captured: nobody is contacted whom `aywa egress` does not name."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from aywa.adapters.models.cache import models_dir
from tests.docs.test_commands import ROOT
from tests.e2e.dev import until
from tests.e2e.production import BUCKET, PASSWORD, made_bucket, made_roles
from tests.e2e.test_guides import question_in
from tests.e2e.test_webhooks import Receiver
from tests.e2e.test_webhooks import receiving as receiving_webhooks
from tests.peers import otlp
from tests.peers.beyond import DNS_PORT, Beyond, beyond
from tests.peers.capture import captured
from tests.peers.clickhouse import clickhouse
from tests.peers.netns import Namespace, NoNamespace, namespace
from tests.peers.postgres import postgres
from tests.peers.seaweedfs import seaweedfs
from tests.peers.valkey import valkey

RUN_S = 150.0
WAV_HEAD_BYTES = 44
KEY = "aywa_9fQ2vL7xT4mWc8ZrKd3pYb6H"
SIP_PORT, CARRIER_PORT = 5060, 5070
ASSISTANT: Mapping[str, Any] = {"name": "Robin", "firstMessage": "Good morning, this is Robin."}


@pytest.fixture
def apart() -> Iterator[Namespace]:
    try:
        with namespace() as made:
            # The kernel's own search for neighbours is nobody's contact.
            for name in ("all", "default"):
                subprocess.run(
                    made.command("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"),
                    check=True,
                    timeout=10,
                )
            yield made
    except NoNamespace as error:
        pytest.skip(f"no network namespace can be made here: {error}")


def aywa(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "aywa.cli", *words)


def environment_of(folder: Path, **more: str) -> dict[str, str]:
    """Nothing that would keep a library from telling of itself comes along, such as the CI of who runs this."""
    (folder / "user").mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "user"),
        "AYWA_HOME": str(folder / "home"),
        "AYWA_MODELS": str(models_dir()),
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
    } | more


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Path]:
    """Ended with a signal at the end of the context, and awaited."""
    with (
        log.open("wb") as told,
        subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=told, env=environment) as process,
    ):
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def full_run(
    there: Beyond, key: str, environment: Mapping[str, str], log: Path, plan: Mapping[str, Any]
) -> list[dict[str, Any]]:
    command = there.command(
        sys.executable, "-m", "tests.e2e.full_run", "http://127.0.0.1:8080", key, json.dumps(plan)
    )
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{log.read_text()[-5000:]}"
    calls: list[dict[str, Any]] = json.loads(done.stdout)
    return calls


def listed(there: Beyond, environment: Mapping[str, str]) -> set[tuple[str, int]]:
    """What `aywa egress` tells, as it is told where the runtime runs; without this machine itself."""
    done = subprocess.run(
        there.command(*aywa("egress", "--json")),
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {(one["host"], one["port"]) for one in json.loads(done.stdout) if one["host"] != "127.0.0.1"}


def test_without_providers_no_packet_leaves_the_machine(apart: Namespace, tmp_path: Path) -> None:
    environment = environment_of(tmp_path)
    question_in(tmp_path)
    plan = {
        "assistant": dict(ASSISTANT),
        "question": str(tmp_path / "question.wav"),
        "dials": f"sip:demo@127.0.0.1:{SIP_PORT}",
    }
    command = aywa("dev", "--tiny", "--sip-port", str(SIP_PORT))
    with beyond(apart, tmp_path, {}) as there:
        with (
            captured(apart) as capture,
            running(there.command(*command), environment, tmp_path / "log") as log,
        ):
            key = tmp_path / "home" / "dev-key"
            until(lambda: "Stop:  Ctrl-C" in log.read_text(), 60, "not ready")
            calls = full_run(there, key.read_text().strip(), environment, log, plan)
        assert listed(there, environment) == set()
    assert [call["endedReason"] for call in calls] == ["customer-ended-call"] * 2
    assert all(call["recording_bytes"] > WAV_HEAD_BYTES for call in calls)
    assert capture.packets > 1000
    assert capture.contacts == {}
    assert there.asked == set()
    # Nor does a library keep an id of this machine for its maker.
    assert list((tmp_path / "user").rglob("*")) == []


@pytest.mark.all
def test_with_providers_those_who_are_listed_are_contacted_and_nobody_else(
    apart: Namespace, tmp_path: Path
) -> None:
    question_in(tmp_path)
    receiver, carrier = Receiver(), "sip.carrier.test"
    with ExitStack() as stack:
        vendors = stack.enter_context(simulated_vendors(tmp_path))
        database, store = stack.enter_context(postgres("fsync=off")), stack.enter_context(seaweedfs())
        leases, analytics = stack.enter_context(valkey()), stack.enter_context(clickhouse())
        traces = stack.enter_context(otlp.receiving())
        stack.enter_context(receiving_webhooks(receiver))
        made_roles(database)
        made_bucket(store)
        there = stack.enter_context(
            beyond(
                apart,
                tmp_path,
                {
                    "db.lakeside.test": database.folder / ".s.PGSQL.5432",
                    "redis.lakeside.test": leases.port,
                    "s3.lakeside.test": store.ports[0],
                    "clickhouse.lakeside.test": analytics.port,
                    "collector.lakeside.test": int(traces.url.rpartition(":")[2]),
                    "hooks.lakeside.test": int(receiver.url.rstrip("/").rpartition(":")[2]),
                    "api.model.test": vendors,
                    "api.voice.test": vendors,
                    "api.ears.test": vendors,
                    carrier: None,
                },
            )
        )
        environment = environment_of(
            tmp_path,
            RUNTIME_ENV="development",
            RUNTIME_API_KEY=KEY,
            RUNTIME_INTERNAL_ALLOW=apart.host,
            RUNTIME_SIP_HOST=apart.peer,
            RUNTIME_SIP_PORT=str(SIP_PORT),
            RUNTIME_STORE_POSTGRES_URL=f"postgresql://aywa:{PASSWORD}@{there.place('db.lakeside.test')}/aywa",
            RUNTIME_STORE_ENCRYPTION_KEY=base64.b64encode(bytes(range(32))).decode(),
            REDIS_URL=f"redis://{there.place('redis.lakeside.test')}/0",
            RUNTIME_ARTIFACT_S3_BUCKET=BUCKET,
            RUNTIME_ARTIFACT_S3_ENDPOINT=f"http://{there.place('s3.lakeside.test')}",
            RUNTIME_ARTIFACT_S3_ACCESS_KEY_ID=store.key_id,
            RUNTIME_ARTIFACT_S3_SECRET_ACCESS_KEY=store.secret,
            RUNTIME_ANALYTICS_CLICKHOUSE_URL=analytics.url("calls").replace(
                f"127.0.0.1:{analytics.port}", there.place("clickhouse.lakeside.test")
            ),
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{there.place('collector.lakeside.test')}",
            OPENAI_API_KEY="sim-key",
            OPENAI_BASE_URL=f"http://{there.place('api.model.test')}/v1",
            ELEVENLABS_API_KEY="sim-key",
            ELEVENLABS_BASE_URL=f"http://{there.place('api.voice.test')}",
            DEEPGRAM_API_KEY="sim-key",
            DEEPGRAM_BASE_URL=f"http://{there.place('api.ears.test')}",
        )
        plan = {
            "assistant": {
                **ASSISTANT,
                "server": {"url": f"http://{there.place('hooks.lakeside.test')}/"},
                "model": {"provider": "openai", "model": "gpt-4.1"},
                "voice": {"provider": "11labs", "voiceId": "JBFqnCBsd6RMkjVDRZzb"},
                "transcriber": {"provider": "deepgram", "model": "nova-3"},
            },
            "question": str(tmp_path / "question.wav"),
            "trunk": {
                "provider": "byo-sip-trunk",
                "name": "Carrier",
                "gateways": [{"ip": carrier, "port": CARRIER_PORT, "inboundEnabled": False}],
            },
            "number": {"provider": "byo-phone-number", "name": "Desk", "number": "+493012345678"},
            "customer": {"number": "+493087654321"},
        }
        phone = aywa(
            "softphone", "--answer", "--host", apart.host, "--port", str(CARRIER_PORT), "--talk", "4"
        )
        with (
            running(phone, environment, tmp_path / "phone"),
            captured(apart) as capture,
            running(there.command(*aywa("serve")), environment, tmp_path / "log") as log,
        ):
            calls = full_run(there, KEY, environment, log, plan)
            until(lambda: reported(receiver, calls), 30, "nobody was told of the end")
        expected = listed(there, environment)
    assert all(call["recording_bytes"] > WAV_HEAD_BYTES for call in calls)
    assert traces.named("call")
    assert expected == {
        (apart.host, DNS_PORT),
        (carrier, CARRIER_PORT),
        ("*", 0),
        *there.ports.items(),
    }
    # Each of them, and by the names that were told.
    assert there.asked == {name for name, _ in expected if name not in ("*", apart.host)}
    ports = {port for host, port in capture.contacts if host == apart.host}
    assert {host for host, _ in capture.contacts} == {apart.host}
    assert {DNS_PORT, CARRIER_PORT, *there.ports.values()} <= ports
    # What is left is the audio of the call by telephone, to where its far side wanted it (RTP, and RTCP one above), and frames
    # without a port.
    audio = ports - {0, DNS_PORT, CARRIER_PORT, *there.ports.values()}
    assert len(audio) in (1, 2), audio
    assert max(audio) - min(audio) == len(audio) - 1


@contextmanager
def simulated_vendors(folder: Path) -> Iterator[int]:
    """The port on loopback behind which all are."""
    log = folder / "vendors"
    command = aywa("simulate-providers", "--port", "0", "--json")
    with running(command, os.environ | {"PYTHONPATH": str(ROOT / "src")}, log):
        until(lambda: log.read_text().endswith("}\n"), 60, "no vendors")
        yield int(json.loads(log.read_text())["url"].rpartition(":")[2])


def reported(receiver: Receiver, calls: list[dict[str, Any]]) -> bool:
    return all(("end-of-call-report", "") in receiver.of(call["id"]) for call in calls)
