"""What was reviewed is what runs: a plan is written by `preview --save-plan` and kept to by `up --plan`.

It has a digest of every operation with its type, name and properties, and what they were computed from: the files of
the commit, the settings, the state. `up` computes again before it touches anything, and refuses another result or a
plan whose ground has changed. Where the stack exists, Pulumi's own plan is in it, which holds each step of the update
to the values that were planned; its secrets are encrypted with the stack's passphrase.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops import console, paths, repair
from ops.changes import Change
from ops.errors import BAD_INPUT, FAILED, Failure
from ops.session import Session
from ops.workspace import Workspace

VERSION = 1
#: What Pulumi itself writes into a settings file when it makes a stack; no setting.
SALT = "encryptionsalt"
#: Where a file that git does not know yet belongs to the program all the same.
PROGRAM = ("components", "infra", "offline", "ops", "plugins", "services")
#: What each part of a plan's ground is, for people.
GROUND = {
    "stack": "it is of the stack {was}, not {now}",
    "tree": "the files are not those it was made from (commit {commit})",
    "source": "it was made with --source {was}, this is {now}",
    "settings": "the settings in Pulumi.{stack}.yaml are others",
    "state": "the state was written since: was {was}, is {now}",
}


@dataclass(frozen=True)
class Plan:
    """One plan, as in ``docs/schemas/plan.schema.json``. ``time`` is in seconds since 1970.

    ``tree`` is git's name for the content of the files (a merge that changes nothing keeps it, another commit does
    not matter), ``settings`` a digest of the stack's settings, ``state`` when the state was written (empty: no stack).
    """

    stack: str
    source: str
    refresh: bool
    time: int
    commit: str
    tree: str
    settings: str
    state: str
    digest: str
    operations: tuple[tuple[str, str, str], ...]
    version: int = VERSION
    pulumi: Mapping[str, Any] | None = field(default=None, repr=False)


def make(current: Session, found: Iterable[Change], *, refresh: bool, pulumi: Path) -> Plan:
    """The plan of changes that were just computed; ``pulumi`` is where Pulumi wrote its own, if it did."""
    found = list(found)
    now = ground(current)
    return Plan(
        stack=now["stack"],
        source=now["source"],
        tree=now["tree"],
        settings=now["settings"],
        state=now["state"],
        refresh=refresh,
        time=int(time.time()),
        commit=_git(current.workspace.root, "rev-parse", "HEAD"),
        operations=operations(found),
        digest=digest(found),
        pulumi=json.loads(pulumi.read_text()) if pulumi.exists() else None,
    )


def files(stack: str, root: Path = paths.ROOT) -> dict[str, str]:
    """What can be said without Pulumi of what a plan is computed from."""
    own = f"Pulumi.{stack}.yaml"
    return {"stack": stack, "tree": tree(root, exclude=own), "settings": settings(root / own)}


def ground(current: Session) -> dict[str, str]:
    """What a plan is computed from: another of these, another plan."""
    workspace = current.workspace
    return {**files(workspace.stack, workspace.root), "source": current.source, "state": state(workspace)}


def operations(found: Iterable[Change]) -> tuple[tuple[str, str, str], ...]:
    """Operation, type and URN of each change, sorted."""
    return tuple(sorted((one.op, one.type, one.urn) for one in found))


def digest(found: Iterable[Change]) -> str:
    """SHA-256 of the operations with the properties that change; of values, Pulumi's own plan takes care."""
    rows = sorted([one.op, one.type, one.urn, sorted({p.path for p in one.properties})] for one in found)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def tree(root: Path, exclude: str) -> str:
    """Git's name for the tree of the files as they are, committed or not; nothing in the repository changes."""
    with tempfile.TemporaryDirectory() as folder:
        objects = _git(root, "rev-parse", "--git-path", "objects")
        env = {
            "GIT_INDEX_FILE": f"{folder}/index",
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((root / objects).resolve()),
        }
        _git(root, "read-tree", "HEAD", env=env)
        _git(root, "add", "--update", env=env)
        _git(root, "add", "--all", "--", *(part for part in PROGRAM if (root / part).exists()), env=env)
        _git(root, "rm", "--cached", "--quiet", "--ignore-unmatch", "--", exclude, env=env)
        return _git(root, "write-tree", env=env)


def settings(file: Path) -> str:
    """SHA-256 of a stack's settings, without what Pulumi adds to them."""
    document = yaml.safe_load(file.read_text()) or {}
    known = {key: value for key, value in document.items() if key != SALT}
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()


def state(workspace: Workspace) -> str:
    """When the state was last written and how much is in it; empty for a stack that does not exist."""
    if not workspace.exists():
        return ""
    deployment = repair.read(workspace)["deployment"]
    when = (deployment.get("manifest") or {}).get("time", "")
    return f"{when} {len(deployment.get('resources') or [])} resources"


def _git(root: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=root, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failure(
            f"git {arguments[0]} failed: a plan names the files that it was made from",
            done.stderr.strip(),
            "make the plan in a clone of the repository with at least one commit",
        )
    return done.stdout.strip()


def target(file: str) -> Path:
    """Where the plan is written; a Failure when it cannot be, before anything is computed."""
    path = Path(file).expanduser().absolute()
    if not path.parent.is_dir():
        raise Failure(f"{path.parent} is no folder", "the plan is written there", "make it first", BAD_INPUT)
    return path


def write(file: Path, plan: Plan) -> None:
    """Write it as one JSON document, for its owner alone, and whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w") as stream:
        stream.write(json.dumps(asdict(plan), indent=2) + "\n")
    Path(temporary).replace(file)
    console.say(f"plan of {len(plan.operations)} operations written to {file}")


def read(file: str) -> Plan:
    """A plan from its file; a Failure when it is none, or of another version."""
    try:
        found = json.loads(Path(file).read_text())
        version = found["version"]
        if version == VERSION:
            return Plan(**{**found, "operations": tuple(map(tuple, found["operations"]))})
        why = f"it is of version {version}, this is {VERSION}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
    raise Failure(f"{file} is no plan", why, "write one: `./nexus preview STACK --save-plan FILE`", BAD_INPUT)


def require_fresh(plan: Plan, now: Mapping[str, str]) -> None:
    """Raise a Failure unless what ``now`` has of files, settings and state is what the plan was made from."""
    facts = {"commit": plan.commit[:12], "stack": now["stack"]}
    stale = [
        text.format(**facts | {"was": getattr(plan, part) or "no stack", "now": now[part] or "no stack"})
        for part, text in GROUND.items()
        if getattr(plan, part) != now.get(part, getattr(plan, part))
    ]
    if stale:
        made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(plan.time))
        raise Failure(f"the plan is stale (made {made}); nothing was touched", "\n".join(stale), _anew(plan), BAD_INPUT)


def require_same(plan: Plan, found: Iterable[Change]) -> None:
    """Raise a Failure unless the changes are those of the plan; it names what is new and what is missing."""
    found = list(found)
    if digest(found) == plan.digest:
        return
    planned, now = set(plan.operations), set(operations(found))
    lines = [f"not planned: {_told(one)}" for one in sorted(now - planned)]
    lines += [f"planned, but not to do: {_told(one)}" for one in sorted(planned - now)]
    raise Failure(
        "this would do something else than was planned; nothing was touched",
        "\n".join(console.fold(lines)) or "the same resources, but other properties of them",
        _anew(plan),
        FAILED,
    )


def _told(operation: tuple[str, str, str]) -> str:
    op, type_, urn = operation
    return f"{op} {urn.rsplit('::', 1)[-1]} ({type_})"


def _anew(plan: Plan) -> str:
    refresh = " --refresh" if plan.refresh else ""
    return f"look at it again: `./nexus preview {plan.stack}{refresh} --save-plan FILE`, then `up --plan FILE`"


def hold(plan: Plan, current: Session) -> list[str]:
    """Compute what `up` would do and compare it with the plan; arguments that hold Pulumi to it while it runs."""
    from ops import preview

    require_fresh(plan, ground(current))
    console.say("computing what there is to do, to compare it with the plan")
    found, _ = preview.compute(current.workspace, refresh=plan.refresh)
    require_same(plan, found)
    return ["--plan", str(_own(plan))] if plan.pulumi else []


def _own(plan: Plan) -> Path:
    """Pulumi's part as the file it reads; private, and written over by the next plan of the stack."""
    file = paths.PRIVATE / f"plan-{plan.stack}.json"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(plan.pulumi))
    return file
