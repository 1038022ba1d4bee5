"""What `rotate` counts up in the settings, and what it tells Vault."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import hvac
import pytest

from infra import settings
from ops import credentials, paths, rotate, up
from ops.errors import BAD_INPUT, FAILED, Failure

FILE = """\
# The environment of a test.
config:
  nexus:images: auto  # whichever is possible
  nexus:services:
    redis: {memory: 160}
encryptionsalt: v1:salt
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(FILE)
    return path


def test_a_rotation_is_counted_in_the_settings_which_stay_as_they_are_otherwise(file):
    assert rotate.count_up("dev", "redis") == 1
    assert rotate.count_up("dev", "redis") == 2
    assert rotate.count_up("dev", "postgres") == 1
    lines = file.read_text().splitlines()
    assert [line for line in lines if line in FILE.splitlines()] == FILE.splitlines(), "comments and order are kept"
    chosen = settings.parse({"nexus:rotations": {"redis": 2, "postgres": 1}}, file.name)
    added = [line.strip() for line in lines if line not in FILE.splitlines()]
    assert added == ["nexus:rotations:", "redis: 2", "postgres: 1"]
    assert chosen.rotations == {"redis": 2, "postgres": 1}


def test_a_rotation_that_is_cut_off_leaves_the_settings_whole(file, monkeypatch):
    monkeypatch.setattr(type(file), "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        rotate.count_up("dev", "redis")
    assert file.read_text() == FILE


@pytest.mark.parametrize("what", [what for what in rotate.WHAT if what not in rotate.IN_VAULT])
def test_what_is_declared_is_counted_and_the_stack_updated(file, monkeypatch, what):
    ran = []
    monkeypatch.setattr(rotate.inputs, "load", lambda stack: None)
    monkeypatch.setattr(up, "run", lambda *given, **named: ran.append((given, named)) or 7)
    assert rotate.run("dev", what, "local", 5, 60) == 7, "it ends as the update does"
    told = {"refresh": True, "lock_timeout": 5, "timeout": 60, "message": f"rotation 1 of {what}"}
    assert ran == [(("dev", "local"), told)]
    assert f"{what}: 1" in file.read_text()


def test_what_cannot_be_rotated_is_refused_with_what_can(file):
    with pytest.raises(Failure) as caught:
        rotate.run("dev", "everything", None, 5, 60)
    assert caught.value.code == BAD_INPUT
    assert all(what in caught.value.why for what in ("redis", "postgres", "signing-key", "leases"))
    assert file.read_text() == FILE


@pytest.fixture
def vault(monkeypatch):
    """A Vault that writes down what it is asked, and answers with ``status``."""
    asked, status = [], [204]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.command, self.path, self.headers["X-Vault-Token"]))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b"" if status[0] == 204 else json.dumps({"errors": ["Vault is sealed"]}).encode()
            self.send_response(status[0])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self):
            self.do_POST()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

        @contextmanager
        def client(stack, source):
            assert (stack, source) == ("dev", None)
            made = hvac.Client(url=f"http://127.0.0.1:{httpd.server_address[1]}", token="of-the-stack")
            yield made
            made.adapter.close()

        monkeypatch.setattr(credentials, "vault", client)
        monkeypatch.setattr(rotate.inputs, "load", lambda stack: None)
        yield asked, status
        httpd.shutdown()


@pytest.mark.parametrize(
    ("what", "path"),
    [
        ("signing-key", "/v1/transit/keys/auth-signing/rotate"),
        ("leases", "/v1/sys/leases/revoke-prefix/database/creds"),
    ],
)
def test_what_vault_keeps_is_rotated_there_without_an_update(file, vault, capsys, what, path):
    asked, _ = vault
    assert rotate.run("dev", what, None, 5, 60) == 0
    assert [(where, token) for _, where, token in asked] == [(path, "of-the-stack")]
    assert rotate.IN_VAULT[what].says.split(";")[0] in capsys.readouterr().err.replace("\n", " ")
    assert file.read_text() == FILE, "there is nothing to count"


def test_a_vault_that_refuses_is_said_with_what_to_do(file, vault):
    asked, status = vault
    status[0] = 503
    with pytest.raises(Failure) as caught:
        rotate.run("dev", "signing-key", None, 5, 60)
    assert caught.value.code == FAILED
    assert "sealed" in caught.value.why
    assert "./nexus status dev" in caught.value.remedy
    assert len(asked) == 1
