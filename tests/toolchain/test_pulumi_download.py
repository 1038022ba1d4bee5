"""The official Pulumi release, from a local double of its download server."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops import pulumi_cli, pulumi_download, pulumi_plugins
from ops.errors import Failure

VERSION = pulumi_cli.pinned()
#: A CLI that says its version and installs plugins from a server as the real one does: one archive per plugin.
CLI = f"""#!/bin/sh
if [ "$1" = version ]; then echo v{VERSION}; exit; fi
for last; do :; done
folder="$PULUMI_HOME/plugins/resource-$4-v$5"
mkdir -p "$folder" && echo "$last" > "$folder/pulumi-resource-$4"
"""


@dataclass
class Server:
    """Serves ``files`` (path -> bytes); of paths ending in ``cut`` only one half, and 503 ``failures`` times first."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cut: str = ""
    failures: int = 0
    url: str = ""

    def release(self, content: bytes, checksum: str = "") -> None:
        name, folder = pulumi_download.archive(VERSION), f"/v{VERSION}"
        digest = checksum or hashlib.sha256(content).hexdigest()
        self.files[f"{folder}/{name}"] = content
        self.files[f"{folder}/pulumi-{VERSION}-checksums.txt"] = (
            f"{'0' * 64}  other.tar.gz\n{digest}  {name}\n".encode()
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    double = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            double.asked.append(self.path)
            content = double.files.get(self.path)
            if double.failures:
                double.failures -= 1
                self.send_error(503)
            elif content is None:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if self.path.endswith(double.cut or "\0") else content)

        def log_message(self, *arguments: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    double.url = f"http://127.0.0.1:{web.server_port}"
    monkeypatch.setenv(pulumi_download.VARIABLE, double.url)
    yield double
    web.shutdown()
    web.server_close()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Pulumi: no CLI on PATH, an empty cache and an empty PULUMI_HOME."""
    monkeypatch.setattr(pulumi_cli, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    folders = [each for each in os.environ["PATH"].split(":") if not Path(each, "pulumi").exists()]
    monkeypatch.setenv("PATH", ":".join(folders))
    return tmp_path


def archive(programs: dict[str, str], folder: str = "pulumi/") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in programs.items():
            entry = tarfile.TarInfo(folder + name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def on_path(machine: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> Path:
    program = machine / "path" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(text)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def silent(line: str) -> None:
    pass


def test_a_release_is_downloaded_verified_and_used_with_its_plugins(server: Server, machine: Path) -> None:
    server.release(archive({"pulumi": CLI, "pulumi-language-python": "#!/bin/sh\n"}))
    assert pulumi_cli.find("upstream") is None
    found = pulumi_cli.ensure("upstream", silent)
    assert found.source == "upstream"
    assert pulumi_cli.version(found.pulumi) == tuple(map(int, VERSION.split(".")))
    assert (found.path_entries[0] / "pulumi-language-python").exists()
    for name, version in pulumi_plugins.required().items():
        plugin = machine / "home" / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
        assert plugin.read_text().strip() == f"{server.url}/plugins"
    assert pulumi_cli.find("upstream") == found


def test_a_second_time_nothing_is_downloaded(server: Server) -> None:
    server.release(archive({"pulumi": CLI}))
    first = pulumi_cli.ensure("upstream", silent)
    server.asked.clear()
    assert pulumi_cli.ensure("upstream", silent) == first
    assert server.asked == []


def test_another_checksum_is_refused_and_nothing_is_kept(server: Server, machine: Path) -> None:
    server.release(archive({"pulumi": CLI}), checksum="f" * 64)
    with pytest.raises(Failure, match="is not what was released") as caught:
        pulumi_cli.ensure("upstream", silent)
    assert "f" * 64 in caught.value.what
    assert caught.value.remedy
    assert not list(machine.rglob("pulumi-*.tar.gz"))
    assert pulumi_cli.find("upstream") is None


def test_a_release_that_is_not_served_names_the_address_and_the_way_out(server: Server) -> None:
    with pytest.raises(Failure, match="answered 404") as caught:
        pulumi_cli.ensure("upstream", silent)
    assert server.url in caught.value.what
    assert "--source local" in caught.value.remedy
    assert len(server.asked) == 1


def test_a_download_that_breaks_off_is_tried_again_and_then_told(server: Server) -> None:
    server.release(archive({"pulumi": CLI}))
    server.cut = ".tar.gz"
    with pytest.raises(Failure, match="could not be downloaded completely"):
        pulumi_cli.ensure("upstream", silent)
    assert len([path for path in server.asked if path.endswith(".tar.gz")]) == pulumi_download.ATTEMPTS


def test_a_server_that_fails_for_a_moment_is_asked_again(server: Server) -> None:
    server.release(archive({"pulumi": CLI}))
    server.failures = 2
    assert pulumi_cli.ensure("upstream", silent).pulumi.exists()


def test_a_path_in_the_archive_is_not_followed(server: Server, machine: Path) -> None:
    server.release(archive({"pulumi": CLI, "../../../../escaped": "x"}))
    found = pulumi_cli.ensure("upstream", silent)
    assert [file.relative_to(found.path_entries[0]) for file in machine.rglob("escaped")] == [Path("escaped")]


def test_an_archive_without_the_cli_or_that_is_none_is_refused(server: Server) -> None:
    for content in (archive({"readme": "x"}), b"not an archive"):
        server.release(content)
        with pytest.raises(Failure, match=r"holds no program called pulumi|cannot be unpacked"):
            pulumi_cli.ensure("upstream", silent)


def test_a_supported_cli_on_path_is_used_and_nothing_is_downloaded(
    server: Server, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = on_path(machine, monkeypatch, "pulumi", CLI.replace(VERSION, "3.201.0"))
    assert pulumi_cli.ensure("upstream", silent).pulumi == program
    assert server.asked == []


@pytest.mark.parametrize("version", ["3.199.9", "2.24.1", "4.0.0", "what?"])
def test_a_cli_on_path_outside_the_range_is_named_and_not_used(
    version: str, server: Server, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = on_path(machine, monkeypatch, "pulumi", CLI.replace(VERSION, version))
    server.release(archive({"pulumi": CLI}))
    lines: list[str] = []
    assert pulumi_cli.ensure("upstream", lines.append).pulumi != program
    assert str(program) in lines[0]
    assert pulumi_cli.RULE in lines[0]


def test_a_release_that_reports_another_version_is_refused(server: Server) -> None:
    server.release(archive({"pulumi": CLI.replace(VERSION, "2.0.0")}))
    with pytest.raises(Failure, match=r"reports version 2\.0\.0") as caught:
        pulumi_cli.ensure("upstream", silent)
    assert "3.200.0 or later" in caught.value.why
    assert "remove" in caught.value.remedy


def test_a_plugin_on_path_of_another_version_is_refused(
    server: Server, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = on_path(machine, monkeypatch, "pulumi-resource-docker", "#!/bin/sh\necho 4.0.0\n")
    for source in ("upstream", "local"):
        with pytest.raises(Failure, match=r"is version 4\.0\.0, the program needs the docker plugin 5\.2\.0") as caught:
            pulumi_cli.ensure(source, silent)
        assert str(program.parent) in caught.value.remedy
    program.write_text("#!/bin/sh\necho v5.2.0\n")
    pulumi_plugins.refuse_shadows()
