"""What a container of an image may rely on, whether the image is the original or built from the project's recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Contract(BaseModel):
    """One row of ``infra/contracts.yaml``; the comments there say what the fields mean and where they come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    image: str | None = None
    uid: int = Field(ge=0)
    gid: int = Field(ge=0)
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str] = {}
    accepts: tuple[str, ...] = ()
    data: str | None = None
    config: str | None = None
    init: str | None = None
    secrets: str = "/run/secrets"
    ports: Mapping[str, int] = {}
    tmpfs: Mapping[str, str] = {}
    pids: int = Field(default=256, ge=8, le=32768)
    stop_signal: str = "SIGTERM"
    health: tuple[str, ...]
    alive: tuple[str, ...] = ()
    exceptions: Mapping[Literal["root", "socket"], str] = {}

    @model_validator(mode="after")
    def _root_is_an_exception(self) -> Contract:
        if self.uid == 0 and "root" not in self.exceptions:
            raise ValueError(f"{self.name}: runs as root; give the reason under exceptions.root, or another uid")
        return self

    @property
    def user(self) -> str:
        """``uid:gid``, as the engine takes it."""
        return f"{self.uid}:{self.gid}"

    def secret(self, name: str) -> str:
        """Where the secret called ``name`` is found inside a container."""
        return f"{self.secrets}/{name}"
