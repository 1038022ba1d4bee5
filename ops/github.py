"""The few calls of GitHub's REST API that a comment on a pull request needs.

Paths, paging by `Link` headers and limits as in docs.github.com/rest (issues/comments, using-the-rest-api).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.errors import BAD_INPUT, FAILED, Failure

if TYPE_CHECKING:
    import httpx

API = "https://api.github.com"
TOKEN, TOKEN_FILE = "GITHUB_TOKEN", "GITHUB_TOKEN_FILE"
#: Comments of one page, the most there are; seconds for one answer.
PAGE, ANSWER = 100, 30.0
#: How often a call is made again, the pause before that in seconds (doubled each time), and the longest one.
TRIES, PAUSE, LONGEST = 4, 1.0, 60.0


@dataclass
class Api:
    """A repository (`owner/name`) as one token sees it."""

    client: httpx.Client
    repository: str
    sleep: Callable[[float], None] = field(default=time.sleep)

    def comments(self, number: int) -> Iterator[Mapping[str, Any]]:
        """All comments of a pull request, the oldest first."""
        url: str | None = f"/repos/{self.repository}/issues/{number}/comments?per_page={PAGE}"
        while url:
            answer = self._call("GET", url)
            yield from answer.json()
            url = answer.links.get("next", {}).get("url")

    def create(self, number: int, body: str) -> Mapping[str, Any]:
        """A new comment."""
        return self._call("POST", f"/repos/{self.repository}/issues/{number}/comments", body).json()

    def update(self, comment: int, body: str) -> bool:
        """Another text for a comment; False when it is gone."""
        return self._call("PATCH", f"/repos/{self.repository}/issues/comments/{comment}", body, gone=True).is_success

    def delete(self, comment: int) -> None:
        """Remove a comment, or find it removed."""
        self._call("DELETE", f"/repos/{self.repository}/issues/comments/{comment}", gone=True)

    def _call(self, method: str, url: str, body: str | None = None, *, gone: bool = False) -> httpx.Response:
        """One answer; ``gone`` takes a 404 for one. Raises Failure with what GitHub said and what to do about it."""
        import httpx

        content = None if body is None else {"body": body}
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.client.request(method, url, json=content)
            except httpx.TransportError as error:
                if attempt == TRIES:
                    raise Failure(
                        f"GitHub's API does not answer at {self.client.base_url}",
                        str(error) or type(error).__name__,
                        "look at GITHUB_API_URL and the network, then run the step again",
                    ) from None
                self.sleep(PAUSE * 2 ** (attempt - 1))
                continue
            if answer.is_success or (gone and answer.status_code == 404):
                return answer
            wait = pause(answer, attempt)
            if attempt == TRIES or wait is None:
                raise refused(answer, method, self.repository)
            self.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


def pause(answer: httpx.Response, attempt: int) -> float | None:
    """Seconds until the call is worth another try; None when it is not, or would take too long."""
    if answer.status_code >= 500:
        return PAUSE * 2 ** (attempt - 1)
    if answer.status_code not in (403, 429):
        return None
    told = answer.headers.get("retry-after", "")
    if told.isdigit():
        wait = float(told)
    elif answer.headers.get("x-ratelimit-remaining") == "0":
        wait = float(answer.headers.get("x-ratelimit-reset") or 0) - time.time() + 1
    elif answer.status_code == 429:
        wait = PAUSE * 2 ** (attempt - 1)
    else:
        return None
    return max(wait, PAUSE) if wait <= LONGEST else None


#: What a status means here: the reason, and what to do.
REASONS: Mapping[int, tuple[str, str]] = {
    401: ("the token is not valid", "in a workflow: `env: GITHUB_TOKEN: ${{ github.token }}`"),
    403: (
        "the token may not do this",
        "in the job: `permissions: {pull-requests: write}`; a fork's jobs cannot have it",
    ),
    404: ("there is no such pull request, or the token may not see it", "look at --repository and --pull"),
    410: ("issues are turned off in this repository", "comments on pull requests need them"),
    422: ("GitHub does not take this text", "report it with the documents that it was made from"),
    429: ("too many calls were made with this token", "run the step again later"),
}


def refused(answer: httpx.Response, method: str, repository: str) -> Failure:
    """The failure behind an answer."""
    limited = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    status = 429 if answer.status_code == 403 and limited else answer.status_code
    why, remedy = REASONS.get(status, ("GitHub is not well", "run the step again; see githubstatus.com"))
    try:
        said = str(answer.json().get("message", ""))
    except (ValueError, AttributeError):
        said = ""
    what = f"GitHub answered {answer.status_code} to {method} {answer.request.url.path}"
    return Failure(what, f"{why} ({repository}){f': {said}' if said else ''}", remedy, FAILED)


@contextmanager
def connect(repository: str) -> Iterator[Api]:
    """The API with the token that Actions gives, from GITHUB_TOKEN or the file named in GITHUB_TOKEN_FILE."""
    import httpx

    headers = {
        "Authorization": f"Bearer {token()}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "nexus-infra",
    }
    address = os.environ.get("GITHUB_API_URL") or API
    with httpx.Client(base_url=address, headers=headers, timeout=ANSWER) as client:
        yield Api(client, repository)


def token() -> str:
    """The token; a Failure says where it is expected."""
    file = os.environ.get(TOKEN_FILE)
    try:
        found = Path(file).read_text().strip() if file else os.environ.get(TOKEN, "").strip()
    except OSError as error:
        raise Failure(f"{TOKEN_FILE} names {file}", str(error), "name a file with a token in it", BAD_INPUT) from None
    if not found:
        raise Failure(
            "there is no token to write the comment with",
            f"neither {TOKEN} nor {TOKEN_FILE} is set",
            "in a workflow: `env: GITHUB_TOKEN: ${{ github.token }}`",
            BAD_INPUT,
        )
    return found
