"""Who is told of alerts, as the settings name them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from infra.model import Model, Secret

Address = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]


class Webhook(Model):
    """A URL that is sent each group of alerts as JSON (Alertmanager, `webhook_config`)."""

    url: str = Field(pattern="^https?://", description="Without a secret in it: that is the token.")
    token: Secret | None = Field(
        default=None,
        description="Sent as bearer token; set with `pulumi config set --secret --path nexus:receivers.<name>.webhook."
        "token`.",
    )


class Slack(Model):
    """An incoming webhook of Slack, or of what takes the same messages (Mattermost, Rocket.Chat)."""

    url: Secret = Field(
        description="The webhook, a secret; set with `pulumi config set --secret --path "
        "nexus:receivers.<name>.slack.url`."
    )
    channel: str = Field(default="", description="Instead of the webhook's own, where it allows that.")


class Mail(Model):
    """Addresses, and the server that takes mail for them."""

    to: tuple[Address, ...] = Field(min_length=1, description="Each gets a mail of its own.")
    sender: Address = Field(description="Whom the mail is from.")
    server: str = Field(pattern=r"^[^\s:]+:\d+$", description="`host:port`.")
    user: str = Field(default="", description="Who logs in to the server; nobody by default.")
    password: Secret | None = Field(
        default=None,
        description="The user's; set with `pulumi config set --secret --path nexus:receivers.<name>.mail.password`.",
    )
    tls: bool = Field(default=True, description="Send over STARTTLS alone, which a login needs.")

    @model_validator(mode="after")
    def _logs_in(self) -> Mail:
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password belong together: set both, or neither")
        return self


class Receiver(Model):
    """Who is told of alerts, by any of `webhook`, `slack` and `mail`."""

    severities: tuple[Literal["critical", "warning"], ...] = Field(
        default=("critical", "warning"), min_length=1, description="Of which alerts."
    )
    webhook: Webhook | None = Field(default=None, description="By a request; see below.")
    slack: Slack | None = Field(default=None, description="In a chat; see below.")
    mail: Mail | None = Field(default=None, description="By mail; see below.")

    @model_validator(mode="after")
    def _tells(self) -> Receiver:
        if not (self.webhook or self.slack or self.mail):
            raise ValueError("tells nobody: it has none of webhook, slack and mail")
        return self
