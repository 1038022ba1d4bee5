"""Alertmanager: takes Prometheus' alerts, groups them, silences what is known, and tells who is to know."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
from pydantic import BaseModel, ConfigDict, Field

from components._contract import Contract
from components._limits import minimum_memory
from components.workload import Port, Running, ServerArgs, WorkloadArgs, WorkloadSpec, reachable

CONFIGURATION = "alertmanager.yml"
RELOAD = "timeout 10 wget -q -O /dev/null --post-data= http://127.0.0.1:{port}/-/reload"
#: Who is told where nobody is named, or where an alert is silenced: it is kept and shown all the same.
NOBODY = "nobody"
Severity = Literal["critical", "warning"]
#: By severity: how long an alert waits for its like, until more of them are told, and until they are told again.
TIMES: Mapping[Severity, Mapping[str, str]] = {
    "critical": {"group_wait": "10s", "group_interval": "1m", "repeat_interval": "1h"},
    "warning": {"group_wait": "1m", "group_interval": "10m", "repeat_interval": "12h"},
}
#: One alert of many services is one message.
GROUPED_BY = ["alertname", "severity"]
TITLE = "{{ .Status }}: {{ .GroupLabels.alertname }} ({{ .ExternalURL }})"
LINES = "{{ range .Alerts }}{{ .Annotations.summary }} ({{ .Annotations.runbook }})\n{{ end }}"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Webhook(_Frozen):
    """A URL that is sent each group as JSON, with a bearer token where it is ``authorized``."""

    url: str
    authorized: bool = False


class Slack(_Frozen):
    """An incoming webhook of Slack, or of what takes the same messages; its URL is a secret."""

    channel: str = ""


class Mail(_Frozen):
    """Addresses, and the server (``host:port``) that takes mail for them, with a password where it has a ``user``."""

    to: tuple[str, ...] = Field(min_length=1)
    sender: str
    server: str
    user: str = ""
    tls: bool = True


class Receiver(_Frozen):
    """Who is told of alerts of these severities, and how."""

    name: str
    severities: tuple[Severity, ...] = ("critical", "warning")
    webhook: Webhook | None = None
    slack: Slack | None = None
    mail: Mail | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of its secrets, which are those of their files."""
        asked = {
            "webhook-token": self.webhook and self.webhook.authorized,
            "slack-url": self.slack,
            "mail-password": self.mail and self.mail.user,
        }
        return tuple(f"{self.name}-{secret}" for secret, wanted in asked.items() if wanted)


class Inhibition(_Frozen):
    """While an alert fits all matchers of ``source``, nobody is told of those that fit ``target``.

    Only of those that have the same values in the labels ``equal``.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...] = ()


class Silence(_Frozen):
    """Alerts of a service that nobody is told of."""

    service: str
    alerts: tuple[str, ...] = Field(min_length=1)


class AlertmanagerSpec(_Frozen):
    """How Alertmanager runs; known at plan time."""

    stack: str
    contract: Contract
    name: str = "alertmanager"
    memory_mib: int = Field(ge=minimum_memory("alertmanager"))
    cpus: float = 0
    port: Port
    retention_hours: int = Field(default=120, ge=1, description="how long silences and sent notifications are known")
    receivers: tuple[Receiver, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    silences: tuple[Silence, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of all secrets of its receivers."""
        return tuple(secret for receiver in self.receivers for secret in receiver.secrets)


@dataclass(frozen=True, kw_only=True)
class AlertmanagerArgs(ServerArgs):
    """What Alertmanager is made from. ``secrets`` are those of its receivers, by ``AlertmanagerSpec.secrets``."""

    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


class Alertmanager(pulumi.ComponentResource):
    """The server. ``address`` is where alerts are sent on the platform's network, ``url`` where it is on the host."""

    address: str
    url: pulumi.Output[str]
    running: Running

    def __init__(
        self, name: str, spec: AlertmanagerSpec, args: AlertmanagerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("nexus:index:Alertmanager", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        files: dict[str, pulumi.Input[str]] = {CONFIGURATION: configuration(spec)}
        files |= {secret: args.secrets[secret] for secret in spec.secrets}
        self.running = args.engine.run(
            name, workload(spec), WorkloadArgs(image=args.image, network=args.network, files=files), child
        )
        self.address = f"{spec.name}:{spec.contract.ports['http']}"
        self.url = self.running.ready.after(f"http://{reachable(spec.port.bind)}:{spec.port.host}")
        self.register_outputs({"url": self.url})


def configuration(spec: AlertmanagerSpec) -> str:
    """``alertmanager.yml``, as JSON: routes for what is silenced, then one for each severity that has a receiver."""
    told: dict[Severity, list[Receiver]] = {
        severity: [receiver for receiver in spec.receivers if severity in receiver.severities] for severity in TIMES
    }
    document = {
        "route": {
            "receiver": NOBODY,
            "group_by": GROUPED_BY,
            "routes": [
                *({"matchers": _silenced(silence), "receiver": NOBODY} for silence in spec.silences),
                *(
                    {"matchers": [f'severity="{severity}"'], "receiver": severity, **TIMES[severity]}
                    for severity, receivers in told.items()
                    if receivers
                ),
            ],
        },
        "receivers": [
            {"name": NOBODY},
            *(_receiver(spec.contract, severity, receivers) for severity, receivers in told.items() if receivers),
        ],
        "inhibit_rules": [
            {
                "source_matchers": list(rule.source),
                "target_matchers": list(rule.target),
                **({"equal": list(rule.equal)} if rule.equal else {}),
            }
            for rule in spec.inhibitions
        ],
    }
    return json.dumps(document, indent=1)


def _silenced(silence: Silence) -> list[str]:
    return [f'service="{silence.service}"', f'alertname=~"{"|".join(silence.alerts)}"']


def _receiver(contract: Contract, name: str, receivers: list[Receiver]) -> dict[str, Any]:
    """All who are told of a severity; secrets are read from their files at each message."""
    configs: dict[str, list[Any]] = {}
    for receiver in receivers:
        for kind, config in _configs(contract, receiver):
            configs.setdefault(kind, []).append({**config, "send_resolved": True})
    return {"name": name, **configs}


def _configs(contract: Contract, receiver: Receiver) -> Iterator[tuple[str, dict[str, Any]]]:
    held = {secret.removeprefix(f"{receiver.name}-"): contract.secret(secret) for secret in receiver.secrets}
    if webhook := receiver.webhook:
        token = {"authorization": {"credentials_file": held["webhook-token"]}} if webhook.authorized else {}
        yield "webhook_configs", {"url": webhook.url, **({"http_config": token} if token else {})}
    if slack := receiver.slack:
        channel = {"channel": slack.channel} if slack.channel else {}
        yield "slack_configs", {"api_url_file": held["slack-url"], **channel, "title": TITLE, "text": LINES}
    if mail := receiver.mail:
        login = {"auth_username": mail.user, "auth_password_file": held["mail-password"]} if mail.user else {}
        common = {"from": mail.sender, "smarthost": mail.server, "require_tls": mail.tls}
        for address in mail.to:
            yield "email_configs", {"to": address, **common, **login}


def workload(spec: AlertmanagerSpec) -> WorkloadSpec:
    """Alertmanager as a workload; alone, so without the port by which several would find each other."""
    return WorkloadSpec(
        stack=spec.stack,
        name=spec.name,
        contract=spec.contract,
        command=(
            f"--config.file={spec.contract.secret(CONFIGURATION)}",
            f"--storage.path={spec.contract.data}",
            f"--data.retention={spec.retention_hours}h",
            "--cluster.listen-address=",
        ),
        ports=(spec.port,),
        memory_mib=spec.memory_mib,
        cpus=spec.cpus,
        ready=("sh", "-c", RELOAD.format(port=spec.contract.ports["http"])),
        live=(CONFIGURATION, *spec.secrets),
    )
