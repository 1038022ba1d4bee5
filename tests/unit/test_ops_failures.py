"""How a verb ends: what, why, what to do, and the exit code."""

import pytest

from infra.errors import ConfigError
from ops import console, diagnosis, failures, paths
from ops.errors import BAD_INPUT, FAILED, INTERRUPTED, LOCKED, MACHINE, MEANINGS, Failure


@pytest.fixture(autouse=True)
def private(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PRIVATE", tmp_path)
    return tmp_path


def raising(error):
    def action():
        raise error

    return action


def test_a_failure_is_what_why_and_what_to_do(capsys):
    code = failures.guarded("up", raising(Failure("it broke", "line one\nline two", "mend it", LOCKED)))
    assert code == LOCKED
    assert capsys.readouterr().err == (
        "error: it broke\n"
        "  why:        line one\n"
        "              line two\n"
        "  what to do: mend it\n"
    )  # fmt: skip


def test_parts_that_are_empty_are_left_out():
    assert failures.render(Failure("it broke")) == "error: it broke"


def test_a_wrong_setting_names_file_field_value_rule_and_remedy(capsys):
    error = ConfigError("Pulumi.dev.yaml", "nexus:portOffset", -1, "must not be negative", "Set it to 0 or more.")
    assert failures.guarded("up", raising(error)) == BAD_INPUT
    shown = capsys.readouterr().err
    for part in ("Pulumi.dev.yaml", "nexus:portOffset", "-1", "must not be negative", "Set it to 0 or more."):
        assert part in shown


def test_the_unexpected_goes_to_a_private_file_and_not_to_the_screen(capsys, private):
    assert failures.guarded("up", raising(RuntimeError("surprise"))) == FAILED
    shown = capsys.readouterr().err
    assert "Traceback" not in shown and "RuntimeError: surprise" in shown
    (log,) = (private / "logs").glob("error-up-*.log")
    assert str(log) in shown
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_an_interruption_says_how_to_go_on_and_exits_with_130(capsys):
    assert failures.guarded("up dev", raising(KeyboardInterrupt())) == INTERRUPTED
    assert "./nexus up dev" in capsys.readouterr().err


def test_a_verb_that_ends_well_exits_with_its_own_code():
    assert failures.guarded("status", lambda: None) == 0
    assert failures.guarded("status", lambda: 5) == 5


def test_only_the_newest_logs_are_kept(private):
    for _ in range(failures.KEPT_LOGS + 5):
        path = failures.log_file("x")
        path.rename(path.with_name(f"x-{len(list(path.parent.iterdir())):04}.log"))
    failures.log_file("x")
    assert len(list((private / "logs").glob("x-*.log"))) <= failures.KEPT_LOGS


@pytest.mark.parametrize(
    ("said", "code", "word"),
    [
        ("error: getting stack configuration: incorrect passphrase", BAD_INPUT, "PULUMI_CONFIG_PASSPHRASE"),
        ("error: the stack is currently locked by 1 lock(s).", LOCKED, "pulumi cancel"),
        (
            "could not list bucket: blob (code=NotFound): lstat /s/.pulumi/locks/organization/nexus/dev/1.json.2.tmp:"
            " no such file or directory",
            LOCKED,
            "wait for it",
        ),
        (
            'error: blob (key ".pulumi/locks/organization/nexus/dev/1.json") (code=NotFound): open /s/1.json: no such',
            LOCKED,
            "wait for it",
        ),
        (
            "2 errors occurred:\n1) stat /s/.pulumi/locks/nexus/dev/1.json.2.tmp: no such file\n2) NotFound",
            LOCKED,
            "wait for it",
        ),
        ("error: unexpected end of JSON input\n", LOCKED, "wait for it"),
        ("error: failed to load checkpoint: unexpected end of JSON input", FAILED, "doctor"),
        ("write /x: no space left on device", MACHINE, "free some space"),
        ("Cannot connect to the Docker daemon at unix:///x", MACHINE, "doctor"),
        ("Bind for 127.0.0.1:1100 failed: port is already allocated", BAD_INPUT, "doctor"),
        ("no resource plugin 'pulumi-resource-kong-v4' found", MACHINE, "./nexus up"),
        ("something nobody has seen", FAILED, "doctor"),
    ],
)
def test_what_tools_say_becomes_a_remedy(said, code, word):
    failure = diagnosis.failure("pulumi up failed", said)
    assert failure.code == code
    assert word in failure.remedy
    assert failure.why


def test_every_row_of_the_table_matches_only_what_it_is_for():
    samples = ["incorrect passphrase", "stack is currently locked by", "no space left on device", "snapshot integrity"]
    assert [diagnosis.known(sample).what for sample in samples] == [
        row.what for row in diagnosis.KNOWN if any(diagnosis.known(s) is row for s in samples)
    ]
    assert diagnosis.known("all is well") is None


def test_long_texts_are_folded_in_the_middle_and_keep_their_end():
    folded = console.fold([str(n) for n in range(100)], "x.log")
    assert len(folded) < 25
    assert folded[0] == "0" and folded[-1] == "99"
    assert "80 lines more in x.log" in folded[console.FOLD_HEAD]


@pytest.mark.parametrize(("value", "text"), [(0.42, "0.4 s"), (12.4, "12 s"), (185, "3 min 05 s")])
def test_durations_read_as_people_say_them(value, text):
    assert console.seconds(value) == text


def test_every_exit_code_has_a_meaning():
    assert set(MEANINGS) == {0, 1, 2, 3, 4, 5, 6, 130}
