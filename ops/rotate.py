"""`nexus rotate`: new credentials, with as little interruption as what they are for allows.

Redis takes those of the generation before too, and tokens signed by an older key stay valid. A login of PostgreSQL has
one password: open connections stay, and the gateway, which keeps it, is told to read it again.

What the program declares has a generation in the stack's settings: it is counted up and the stack updated. What Vault
keeps by itself (keys, leases) is told to Vault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from infra.settings import NAMESPACE, Rotated, file_of
from ops import console, documents, inputs, paths
from ops.errors import BAD_INPUT, Failure

if TYPE_CHECKING:
    import hvac

SIGNING_KEY = "auth-signing"


@dataclass(frozen=True)
class InVault:
    """One thing that Vault makes anew when told; ``says`` what follows."""

    action: Literal["rotate-key", "revoke-leases"]
    path: str
    says: str


#: What is rotated in Vault, without an update of the stack.
IN_VAULT: Mapping[str, InVault] = {
    "signing-key": InVault(
        "rotate-key", SIGNING_KEY, "tokens are signed by the new key once the gateway knows it; old ones stay valid"
    ),
    "leases": InVault(
        "revoke-leases", "database/creds", "every login to PostgreSQL is gone; services fetch new ones by themselves"
    ),
}
WHAT = (*get_args(Rotated), *IN_VAULT)


def run(stack: str, what: str, source: str | None, lock_timeout: int, timeout: int) -> int:
    """Rotate one thing; ends as `up` does when the stack has to be updated for it."""
    if what not in WHAT:
        raise Failure(f"there is nothing called {what!r} to rotate", f"known: {', '.join(WHAT)}", "", BAD_INPUT)
    inputs.load(stack)
    if what in IN_VAULT:
        in_vault(stack, IN_VAULT[what], source)
        return 0
    from ops import up

    number = count_up(stack, what)
    console.say(f"{file_of(stack)}: {NAMESPACE}rotations.{what} is {number}; commit it with what else changed")
    message = f"rotation {number} of {what}"
    return up.run(stack, source, refresh=True, lock_timeout=lock_timeout, timeout=timeout, message=message)


def count_up(stack: str, what: str) -> int:
    """One more rotation in the stack's settings, which keep their comments and order; returns how many there are."""
    file = paths.ROOT / file_of(stack)
    document = documents.load(file.read_text())
    rotations = document.setdefault("config", {}).setdefault(f"{NAMESPACE}rotations", {})
    rotations[what] = number = int(rotations.get(what, 0)) + 1
    documents.write(file, documents.dump(document))
    return number


def in_vault(stack: str, wanted: InVault, source: str | None) -> None:
    """Tell Vault, with the stack's own token."""
    import hvac.exceptions
    import requests

    from ops import credentials

    with credentials.vault(stack, source) as client:
        try:
            act(client, wanted)
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            raise Failure(
                f"Vault did not do it: {wanted.path}", str(error), f"look at `./nexus status {stack}`"
            ) from None
    console.say(wanted.says)


def act(client: hvac.Client, wanted: InVault) -> None:
    """Do it; raises hvac's errors."""
    if wanted.action == "rotate-key":
        client.secrets.transit.rotate_key(wanted.path)
    else:
        client.sys.revoke_prefix(wanted.path)
