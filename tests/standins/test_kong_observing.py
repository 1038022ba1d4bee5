"""What the gateway tells about its work: metrics and logs."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.standins.entities import Make, pool, route
from tests.standins.gateway import Gateway, eventually


def metrics(kong: Gateway) -> dict[str, list[Any]]:
    families = text_string_to_metric_families(kong.admin.get("/metrics").text)
    return {sample.name: [s for s in family.samples if s.name == sample.name]
            for family in families for sample in family.samples}  # fmt: skip


def test_traffic_and_health_are_counted_under_the_originals_names(kong: Gateway, echo: Make) -> None:
    server = echo("a")
    pool(kong, {server.target: 100}, {"name": "svc"}, healthchecks={"active": {"healthy": {"interval": 1}}})
    on = dict.fromkeys(("status_code_metrics", "latency_metrics", "bandwidth_metrics", "upstream_health_metrics"), True)
    kong.post("/plugins", name="prometheus", config=on)
    for _ in range(3):
        kong.proxy.get("/")
    found = eventually(lambda: (m := metrics(kong)).get("kong_http_requests_total") and m)
    (sample,) = found["kong_http_requests_total"]
    assert (sample.labels["service"], sample.labels["code"], sample.labels["source"]) == ("svc", "200", "service")
    assert sample.value == 3
    assert [s.value for s in found["kong_request_latency_ms_bucket"] if s.labels["le"] == "+Inf"] == [3]
    assert {s.labels["direction"] for s in found["kong_bandwidth_bytes_total"]} == {"ingress", "egress"}
    states = {s.labels["state"]: s.value for s in found["kong_upstream_target_health"]}
    assert states == {"healthchecks_off": 0, "healthy": 1, "unhealthy": 0, "dns_error": 0}
    assert found["kong_datastore_reachable"][0].value == 1
    assert found["kong_nginx_connections_total"]


def test_a_request_is_logged_to_a_file_and_a_server(kong: Gateway, echo: Make, tmp_path: Path) -> None:
    received: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if len(received) == 1 else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        route(kong, echo("a"), {"name": "svc"})
        kong.post("/plugins", name="file-log", config={"path": str(tmp_path / "requests.log")})
        endpoint = f"http://127.0.0.1:{server.server_port}/in"
        queue = {"max_batch_size": 10, "max_coalescing_delay": 0.2}
        kong.post("/plugins", name="http-log", config={"http_endpoint": endpoint, "queue": queue})
        for number in range(3):
            kong.proxy.get(f"/{number}", headers={"authorization": "secret"})
        eventually(lambda: len(received) >= 2)
        assert [entry["request"]["uri"] for entry in received[-1]] == ["/0", "/1", "/2"]
        lines = [json.loads(line) for line in (tmp_path / "requests.log").read_text().splitlines()]
        assert [line["response"]["status"] for line in lines] == [200, 200, 200]
        assert lines[0]["service"]["name"] == "svc"
        assert lines[0]["request"]["headers"]["authorization"] == "REDACTED"
    finally:
        server.shutdown()
        server.server_close()


def test_requests_are_transformed_on_their_way(kong: Gateway, echo: Make) -> None:
    route(kong, echo("a"), {"name": "svc"}, paths=["~/(?<kind>[a-z]+)/.*"], strip_path=False)
    kong.post("/services/svc/plugins", name="request-transformer", config={
        "remove": {"headers": ["x-secret"], "querystring": ["debug"], "body": ["internal"]},
        "rename": {"headers": ["x-old:x-new"]}, "replace": {"uri": "/v2/$(uri_captures.kind)"},
        "add": {"headers": ["x-kind:$(uri_captures[1])"], "querystring": ["from:gateway"],
                "body": ["n:1"]}})  # fmt: skip
    answer = kong.proxy.post(
        "/items/7?debug=1&a=b", json={"internal": 1, "k": 2}, headers={"x-secret": "s", "x-old": "o"}
    ).json()
    assert answer["path"] == "/v2/items?a=b&from=gateway"
    assert json.loads(answer["body"]) == {"k": 2, "n": "1"}
    sent = answer["headers"]
    assert (sent["x-new"], sent["x-kind"], "x-secret" in sent, "x-old" in sent) == ("o", "items", False, False)
