"""Pulumi's protocol for policy packs (``pulumi/analyzer.proto``), with the rules of ``policy.rules`` behind it.

A resource is looked at before it is touched, so that `up` stops before a violation becomes true. Most of a preview's
resources are of no rule's type and are answered without being read.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from policy import exceptions, rules
from policy.exceptions import Exempt
from policy.model import UNKNOWN, Resource, Rule, Secret, Violation

PACK, VERSION = "nexus", "0.1.0"
GUIDE = "docs/policy.md"
ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
#: How the engine marks a secret and a value that is not known yet.
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN_TEXTS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # a text, or of a kind that does not show
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # true or false
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)
SEVERITIES = {
    name: getattr(analyzer_pb2, f"POLICY_SEVERITY_{name.upper()}") for name in ("low", "medium", "high", "critical")
}
#: Seconds between looks at whether who started this is still there.
ORPHAN_CHECK = 1.0


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Answers the engine."""

    def __init__(self, policies: Sequence[Rule], exempt: Sequence[Exempt], today: date) -> None:
        self.policies, self.exempt, self.today = policies, exempt, today
        self.looked_at = frozenset[str]().union(*(rule.types | rule.stack_types for rule in policies))
        self.inputs: dict[str, Mapping[str, Any]] = {}

    def Handshake(self, request, context):  # noqa: N802, D102
        return analyzer_pb2.AnalyzerHandshakeResponse()

    def ConfigureStack(self, request, context):  # noqa: N802, D102
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Configure(self, request, context):  # noqa: N802, D102
        return empty_pb2.Empty()

    def Cancel(self, request, context):  # noqa: N802, D102
        return empty_pb2.Empty()

    def GetPluginInfo(self, request, context):  # noqa: N802, D102
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetAnalyzerInfo(self, request, context):  # noqa: N802, D102
        return analyzer_pb2.AnalyzerInfo(
            name=PACK, displayName=PACK, version=VERSION, policies=[info(rule) for rule in self.policies]
        )

    def Remediate(self, request, context):  # noqa: N802, D102
        return analyzer_pb2.RemediateResponse()

    def Analyze(self, request, context):  # noqa: N802, D102
        if request.type not in self.looked_at:
            return analyzer_pb2.AnalyzeResponse()
        one = resource(request)
        self.inputs[one.urn] = one.properties
        return self.response((rule, violation) for rule in self.policies for violation in rule.of(one))

    def AnalyzeStack(self, request, context):  # noqa: N802, D102
        every = [self.complete(resource(each)) for each in request.resources if each.type in self.looked_at]
        return self.response((rule, violation) for rule in self.policies for violation in rule.of_all(every))

    def complete(self, one: Resource) -> Resource:
        """With its inputs for outputs that are not known: in a preview, those of a server that is still to be made."""
        known = {key: found for key, found in one.properties.items() if found is not UNKNOWN}
        return replace(one, properties={**self.inputs.get(one.urn, {}), **known})

    def response(self, found: Iterable[tuple[Rule, Violation]]) -> analyzer_pb2.AnalyzeResponse:
        """Violations as the engine takes them: those with an exception are shown, and stop nothing."""
        return analyzer_pb2.AnalyzeResponse(diagnostics=[self.diagnostic(*each) for each in found])

    def diagnostic(self, rule: Rule, violation: Violation) -> analyzer_pb2.AnalyzeDiagnostic:
        """One violation."""
        stack = Resource(urn=violation.urn, type="", properties={}).stack
        stands, message = exceptions.judge(rule, stack, violation, self.exempt, self.today)
        return analyzer_pb2.AnalyzeDiagnostic(
            policyName=rule.name,
            policyPackName=PACK,
            policyPackVersion=VERSION,
            description=rule.description,
            message=message,
            enforcementLevel=analyzer_pb2.MANDATORY if stands else analyzer_pb2.ADVISORY,
            urn=violation.urn,
            severity=SEVERITIES[rule.severity],
        )


def info(rule: Rule) -> analyzer_pb2.PolicyInfo:
    """A rule as the engine lists it."""
    of_stack = rule.check_stack is not None
    return analyzer_pb2.PolicyInfo(
        name=rule.name,
        displayName=rule.name,
        description=rule.description,
        message=rule.description,
        enforcementLevel=analyzer_pb2.MANDATORY,
        policy_type=analyzer_pb2.POLICY_TYPE_STACK if of_stack else analyzer_pb2.POLICY_TYPE_RESOURCE,
        severity=SEVERITIES[rule.severity],
        remediation_steps=rule.remedy,
        url=GUIDE,
    )


def resource(request: Any) -> Resource:
    """A resource from either message that the protocol has for one."""
    origins: Mapping[str, Any] = getattr(request, "propertyDependencies", {})
    return Resource(
        urn=request.urn,
        type=request.type,
        properties=mapping(request.properties),
        protect=request.options.protect,
        dependencies={key: tuple(found.urns) for key, found in origins.items()},
    )


def mapping(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Properties by their names."""
    return {key: value(inner) for key, inner in struct.fields.items()}


def value(found: struct_pb2.Value) -> Any:
    """A value of a property: None, a truth, number or text, a list, a mapping, ``Secret``, or UNKNOWN."""
    kind = found.WhichOneof("kind")
    if kind == "struct_value":
        inner = mapping(found.struct_value)
        return Secret(inner.get("value")) if inner.get(SIGNATURE) == SECRET else inner
    if kind == "list_value":
        return [value(each) for each in found.list_value.values]
    if kind == "null_value" or kind is None:
        return None
    plain = getattr(found, kind)
    return UNKNOWN if kind == "string_value" and plain in UNKNOWN_TEXTS else plain


def watch(parent: int) -> None:
    """End with who started this, however it ended."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK)
    os._exit(0)


def main() -> None:
    """Serve on a free port of the loopback interface; its number is the first line of stdout."""
    threading.Thread(target=watch, args=(os.getppid(),), daemon=True).start()
    try:
        exempt = exceptions.load(rules.NAMES)
    except exceptions.InvalidError as error:
        sys.exit(str(error))
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=ANY_SIZE)
    analyzer = Analyzer(rules.ALL, exempt, datetime.now(UTC).date())
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()
