"""`nexus comment`: previews of one or more environments as one comment of a pull request, written anew each time.

It is found by its marker among all comments, of those that somebody wrote who may write to the repository: a stranger's
copy of the marker changes nothing. Where nothing would change and nothing was said before, nothing is said.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ops import changes, console, github, preview_markdown
from ops.changes import Preview
from ops.errors import BAD_INPUT, Failure

#: People who may write to the repository (docs.github.com, author_association); Actions and other apps are bots.
WRITERS = {"OWNER", "MEMBER", "COLLABORATOR"}


def run(documents: Sequence[str], repository: str | None, pull: int | None, dry_run: bool) -> int:
    """Write, renew or leave out the comment."""
    previews = [read(Path(file)) for file in documents]
    body = preview_markdown.render(previews, run_url())
    quiet = all(one.quiet and not one.failed for one in previews)
    if dry_run:
        console.write(body)
        return 0
    number = pull or pull_request()
    with github.connect(repository or _repository()) as api:
        console.say(write(api, number, body, quiet=quiet))
    return 0


def read(file: Path) -> Preview:
    """A document of `preview --json`; one that was never written is a preview that failed (of `preview-STACK.json`)."""
    try:
        content = file.read_text()
    except OSError:
        content = ""
    if not content.strip():
        return Preview(file.stem.removeprefix("preview-"), failed=True)
    return changes.parse(content, str(file))


def write(api: github.Api, number: int, body: str, *, quiet: bool) -> str:
    """Bring the pull request to one comment with this text; returns what was done, for people."""
    mine = find(api, number)
    if not mine and quiet:
        return "nothing changes, and nothing was said before: no comment"
    done = "renewed"
    if not mine:
        api.create(number, body)
        done = "written"
        mine = find(api, number)  # another run may have written one at the same time
    if not mine:
        return f"the comment was {done}"
    first, *rest = mine
    for one in rest:
        api.delete(one["id"])
    if not _same(first["body"], body) and not api.update(first["id"], body):
        api.create(number, body)  # somebody removed it meanwhile
    return f"the comment was {done}" + (f", {len(rest)} more of its kind removed" if rest else "")


def find(api: github.Api, number: int) -> list[Mapping[str, Any]]:
    """The comments with the marker, the oldest first."""
    found = [one for one in api.comments(number) if _ours(one)]
    return sorted(found, key=lambda one: one["id"])


def _same(kept: str, body: str) -> bool:
    """GitHub may keep other line ends than it was given."""
    return kept.replace("\r\n", "\n").strip() == body.strip()


def _ours(comment: Mapping[str, Any]) -> bool:
    trusted = comment.get("author_association") in WRITERS or (comment.get("user") or {}).get("type") == "Bot"
    return trusted and (comment.get("body") or "").startswith(preview_markdown.MARKER)


def run_url() -> str:
    """The page of this run of Actions, with its log and artifacts; empty elsewhere."""
    server, repository, number = (os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{number}" if server and repository and number else ""


def _repository() -> str:
    found = os.environ.get("GITHUB_REPOSITORY", "")
    if found.count("/") != 1:
        raise Failure(
            f"the repository is {found!r}",
            "it is OWNER/NAME",
            "--repository OWNER/NAME, or GITHUB_REPOSITORY",
            BAD_INPUT,
        )
    return found


def pull_request() -> int:
    """The number of the pull request that this run of Actions is about."""
    file = os.environ.get("GITHUB_EVENT_PATH", "")
    try:
        return int(json.loads(Path(file).read_text())["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Failure(
            "it is not known which pull request to write to",
            f"the event in {file or 'GITHUB_EVENT_PATH, which is not set,'} names none",
            "--pull NUMBER, or run it by a workflow `on: pull_request`",
            BAD_INPUT,
        ) from None
