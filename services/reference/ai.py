"""Role ``ai``: completions from an OpenAI-compatible upstream, within limits of the service's own.

The upstream's key is in Vault and in no log, answer or error. The limits hold for all replicas together, as they are
counted in Redis; without Redis nothing is asked, because what cannot be counted cannot be paid.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as InvalidAnswer

from services.common import http
from services.common.breaker import Breaker
from services.common.credentials import VaultError
from services.common.dependency import DependencyAwayError, explain
from services.common.metrics import Metrics
from services.common.redis import Redis
from services.common.settings import AiSettings
from services.common.vault import Vault

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

#: Characters of a token, in most models at least this many: for the estimate that is set right afterwards.
CHARACTERS_PER_TOKEN = 3


class AiLimits(BaseModel):
    """The role's ``NEXUS_SETTINGS``."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: Annotated[int, Field(ge=1)] = 60
    tokens_per_day: Annotated[int, Field(ge=1)] = 200_000
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 25.0
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    breaker_seconds: Annotated[float, Field(gt=0)] = 15.0


class Message(BaseModel):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(min_length=1, max_length=50_000)]


class Prompt(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid")

    messages: Annotated[list[Message], Field(min_length=1, max_length=100)]
    max_tokens: Annotated[int, Field(ge=1)] = 256
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0


class Usage(BaseModel):
    """The tokens a completion cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Completion(BaseModel):
    """The upstream's answer."""

    model: str
    text: str
    finish_reason: str | None
    usage: Usage


class Ai:
    """Asks the upstream, when the limits and the breaker let it."""

    def __init__(self, settings: AiSettings, limits: AiLimits, vault: Vault, redis: Redis, metrics: Metrics) -> None:
        self._model, self._limits = settings.model, limits
        self._vault, self._redis, self._metrics = vault, redis, metrics
        self._http = http.client(f"{settings.url}/", limits.timeout_seconds)
        self._breaker = Breaker(limits.breaker_failures, limits.breaker_seconds)
        self._key = ""

    async def complete(self, prompt: Prompt) -> Completion:
        """Return a completion. Raises what the caller is to be told as ``HTTPException``."""
        if prompt.max_tokens > self._limits.max_tokens:
            raise HTTPException(422, f"max_tokens is {prompt.max_tokens}; at most {self._limits.max_tokens} are given.")
        if wait := self._breaker.open_for:
            self._metrics.completions.labels("cut_off").inc()
            raise _unavailable(503, "The AI upstream keeps failing and is left alone for a moment.", wait)
        reserved = sum(len(message.content) for message in prompt.messages) // CHARACTERS_PER_TOKEN + prompt.max_tokens
        day = await self._reserve(reserved)
        used = 0
        try:
            completion = await self._ask(prompt)
            used = completion.usage.total_tokens
        except HTTPException as error:
            if error.status_code == 504:  # nobody knows what it cost: the estimate stays
                used = reserved
            raise
        finally:
            await self._settle(day, used - reserved)
        self._metrics.completions.labels("done").inc()
        self._metrics.tokens.inc(used)
        return completion

    async def _reserve(self, tokens: int) -> str:
        """Count the request and the most it can cost, before it costs anything."""
        minute = int(time.time() // 60)
        if await self._redis.count(f"ai:minute:{minute}", 1, 120) > self._limits.requests_per_minute:
            self._metrics.completions.labels("limited").inc()
            limit = f"{self._limits.requests_per_minute} requests a minute"
            raise _unavailable(429, f"The limit of {limit} is reached.", 60 - time.time() % 60)
        now = datetime.now(UTC)
        day = f"ai:day:{now:%Y-%m-%d}"
        if await self._redis.count(day, tokens, 2 * 86400) > self._limits.tokens_per_day:
            await self._settle(day, -tokens)
            self._metrics.completions.labels("limited").inc()
            midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            limit = f"{self._limits.tokens_per_day} tokens a day"
            raise _unavailable(429, f"This would go over the limit of {limit}.", (midnight - now).total_seconds())
        return day

    async def _settle(self, day: str, difference: int) -> None:
        try:
            await self._redis.execute("INCRBY", day, difference)
        except DependencyAwayError as error:
            log.warning("the day's tokens stay counted too high: %s", error)

    async def _ask(self, prompt: Prompt) -> Completion:
        answer = await self._send(prompt.model_dump() | {"model": self._model, "stream": False})
        if answer.status_code == 401:  # the key was rotated
            self._key = ""
            answer = await self._send(prompt.model_dump() | {"model": self._model, "stream": False})
        self._breaker.note(answer.status_code < 500 and answer.status_code != 401)
        if answer.status_code == 429:
            self._metrics.completions.labels("limited").inc()
            raise _unavailable(503, "The AI upstream asks to wait.", _retry_after(answer))
        if answer.status_code != 200:
            self._metrics.completions.labels("failed").inc()
            log.warning("the upstream answered %d", answer.status_code)
            raise HTTPException(502, f"The AI upstream answered {answer.status_code}.")
        try:
            return _completion(answer.json())
        except (ValueError, KeyError, IndexError, TypeError, InvalidAnswer):
            self._metrics.completions.labels("failed").inc()
            raise HTTPException(502, "The AI upstream's answer is not that of an OpenAI-compatible API.") from None

    async def _send(self, body: dict[str, Any]) -> httpx.Response:
        import httpx  # noqa: PLC0415 - loaded with the client

        if not self._key:
            try:
                self._key = (await self._vault.entry("upstream"))["api_key"]
            except (VaultError, KeyError) as error:
                raise DependencyAwayError("vault", f"no key for the upstream: {explain(error)}") from error
        headers = {"Authorization": f"Bearer {self._key}", **http.passed_on()}
        self._breaker.enter()
        try:
            return await self._http.post("chat/completions", json=body, headers=headers)
        except httpx.HTTPError as error:
            self._breaker.note(False)
            self._metrics.completions.labels("failed").inc()
            log.warning("the upstream did not answer: %s", explain(error))
            if isinstance(error, httpx.TimeoutException):
                raise HTTPException(504, "The AI upstream did not answer in time.") from None
            raise HTTPException(502, "The AI upstream cannot be reached.") from None


def ai_router(ai: Ai | None) -> APIRouter:
    """Build the routes of the role; without an upstream it says so to who asks."""
    router = APIRouter(tags=["ai"])

    @router.post("/completions")
    async def complete(prompt: Prompt) -> Completion:
        """Complete a conversation."""
        if ai is None:
            raise HTTPException(503, "No AI upstream is set for this environment (nexus:ai in its settings).")
        return await ai.complete(prompt)

    return router


def _completion(document: dict[str, Any]) -> Completion:
    choice = document["choices"][0]
    return Completion(
        model=document.get("model", ""),
        text=choice["message"]["content"] or "",
        finish_reason=choice.get("finish_reason"),
        usage=Usage.model_validate(document.get("usage") or {}),
    )


def _unavailable(status: int, detail: str, seconds: float) -> HTTPException:
    return HTTPException(status, detail, {"Retry-After": str(max(1, round(seconds)))})


def _retry_after(answer: httpx.Response) -> float:
    given = answer.headers.get("retry-after", "")
    return float(given) if given.isdigit() else 5.0
