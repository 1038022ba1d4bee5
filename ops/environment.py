"""The one place that says with which environment variables Pulumi runs: in the verbs, and in a shell by `nexus env`."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ops import paths

if TYPE_CHECKING:
    from ops.pulumi_cli import Toolchain

STATE = paths.PRIVATE / "state"
PASSPHRASE = paths.PRIVATE / "passphrase"


def variables(source: str, toolchain: Toolchain | None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What to set on top of ``environ``. Of a backend or a passphrase that the user chose, nothing is changed."""
    entries = [str(path) for path in toolchain.path_entries] if toolchain else []
    own = [*entries, str(paths.ROOT / ".venv" / "bin")]
    rest = [part for part in environ.get("PATH", os.defpath).split(os.pathsep) if part not in own]
    values = {
        "PATH": os.pathsep.join([*own, *rest]),
        "NEXUS_SOURCE": source,
        "PULUMI_PYTHON_CMD": str(paths.ROOT / ".venv" / "bin" / "python"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
    }
    if toolchain and toolchain.home:
        values["PULUMI_HOME"] = str(toolchain.home)
        # What this home lacks cannot be downloaded here either; asking would only cost time.
        values["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if not environ.get("PULUMI_BACKEND_URL"):
        STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        values["PULUMI_BACKEND_URL"] = STATE.as_uri()
    if "PULUMI_CONFIG_PASSPHRASE" not in environ and "PULUMI_CONFIG_PASSPHRASE_FILE" not in environ:
        values["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase_file())
    return values


def process(source: str, toolchain: Toolchain | None) -> dict[str, str]:
    """The whole environment of a Pulumi process."""
    return {**os.environ, **variables(source, toolchain)}


def passphrase_file(path: Path | None = None) -> Path:
    """The file with this clone's passphrase; made once, readable by its owner alone."""
    path = path or PASSPHRASE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # made with mode 0600
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(32))
        try:
            os.link(temporary, path)  # of two runs at the same time, one wins and both use its file
        except FileExistsError:
            pass
        finally:
            Path(temporary).unlink()
    return path


def file_backend(environ: Mapping[str, str]) -> Path | None:
    """The directory of a file backend; None when the state is kept elsewhere."""
    url = environ.get("PULUMI_BACKEND_URL") or STATE.as_uri()
    if not url.startswith("file://"):
        return None
    location = url.removeprefix("file://").split("?")[0]
    return Path(location).expanduser() if location.startswith(("/", "~")) else paths.ROOT / location
