"""Where what is known of updates is kept: beside the state, so that all who work on a stack see the same.

Three operations on names like ``dev/000012.json`` are all that is needed: a folder has them, and a bucket has them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, urlsplit

from ops import environment, paths
from ops.errors import BAD_INPUT, Failure
from ops.workspace import PROJECT

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

#: Names another place for the history than beside the state.
VARIABLE = "NEXUS_HISTORY_URL"
FOLDER = "nexus-history"


class Store(Protocol):
    """Files by name. ``shared`` is False when only this clone sees them."""

    shared: bool

    def create(self, name: str, content: bytes) -> bool:
        """Write a file that is not there; False, and nothing written, when it is."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole, or replace it whole."""
        ...

    def read(self, name: str) -> bytes | None:
        """A file's content; None when it is not there."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names that begin with ``folder/``, sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


class Folder:
    """Files of a directory, readable by their owner alone."""

    def __init__(self, path: Path, *, shared: bool = True) -> None:
        self.path, self.shared = path, shared

    def create(self, name: str, content: bytes) -> bool:
        """See Store."""
        temporary, target = self._temporary(name, content)
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True

    def write(self, name: str, content: bytes) -> None:
        """See Store."""
        temporary, target = self._temporary(name, content)
        temporary.replace(target)

    def read(self, name: str) -> bytes | None:
        """See Store."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """See Store."""
        found = (self.path / folder).iterdir() if (self.path / folder).is_dir() else ()
        return sorted(f"{folder}/{file.name}" for file in found if not file.name.startswith("."))

    def remove(self, name: str) -> None:
        """See Store."""
        (self.path / name).unlink(missing_ok=True)

    def _temporary(self, name: str, content: bytes) -> tuple[Path, Path]:
        target = self.path / name
        for folder in reversed((target.parent, *target.parent.parents)):  # `parents=True` would not give them the mode
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".")  # made with mode 0600
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        return Path(temporary), target


class Bucket:
    """Objects of an S3-compatible bucket, below a prefix. Raises Failure when the bucket does not do as asked."""

    shared = True

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        self.url, self.store = url, _s3(url, environ)

    def create(self, name: str, content: bytes) -> bool:
        """See Store."""
        from obstore.exceptions import AlreadyExistsError

        with self._asked():
            try:
                self.store.put(name, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """See Store."""
        with self._asked():
            self.store.put(name, content)

    def read(self, name: str) -> bytes | None:
        """See Store."""
        with self._asked(), suppress(FileNotFoundError):
            return bytes(self.store.get(name).bytes())
        return None

    def names(self, folder: str) -> list[str]:
        """See Store."""
        with self._asked():
            return sorted(item["path"] for batch in self.store.list(f"{folder}/") for item in batch)

    def remove(self, name: str) -> None:
        """See Store."""
        with self._asked(), suppress(FileNotFoundError):
            self.store.delete(name)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise Failure(
                "the bucket with the history does not do as it is asked",
                str(error).strip().splitlines()[0][:300],
                f"it is {self.url.partition('?')[0]}: look at its address, its rights and the AWS_* variables",
            ) from None


def _s3(url: str, environ: Mapping[str, str]) -> S3Store:
    """A bucket as Pulumi's URL of it says: ``s3://bucket/prefix?region=..&endpoint=..&s3ForcePathStyle=true``."""
    from obstore.store import S3Store

    parts = urlsplit(url)
    asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    if "profile" in asked or ("AWS_PROFILE" in environ and "AWS_ACCESS_KEY_ID" not in environ):
        raise Failure(
            "the history's bucket cannot be opened with an AWS profile",
            "credentials are taken from AWS_ACCESS_KEY_ID and its fellows, a web identity, or the machine's role",
            'eval "$(aws configure export-credentials --format env)", or name another place: ' + VARIABLE,
            BAD_INPUT,
        )
    plain = "true" in (asked.get("disableSSL"), asked.get("disable_https"))
    endpoint = asked.get("endpoint", "")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if plain else 'https'}://{endpoint}"
    region = asked.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    path_style = "true" in (asked.get("s3ForcePathStyle"), asked.get("use_path_style")) or bool(endpoint)
    config: S3Config = {"region": region, "virtual_hosted_style_request": not path_style}
    if endpoint:
        config["endpoint"] = endpoint
    prefix = f"{parts.path.strip('/')}/{FOLDER}/{PROJECT}".lstrip("/")
    plain = endpoint.startswith("http://")
    return S3Store(parts.netloc, prefix=prefix, config=config, client_options={"allow_http": plain})


def of(environ: Mapping[str, str]) -> Store:
    """Where the history of a backend is: where NEXUS_HISTORY_URL says, beside the state, else in this clone alone."""
    chosen = environ.get(VARIABLE) or environ.get("PULUMI_BACKEND_URL") or environment.STATE.as_uri()
    if chosen.startswith("s3://"):
        return Bucket(chosen, environ)
    folder = environment.file_backend({"PULUMI_BACKEND_URL": chosen})
    if folder:
        return Folder(folder / FOLDER / PROJECT)
    if environ.get(VARIABLE):
        raise Failure(
            f"{VARIABLE} is {chosen!r}", "a history is kept in file:// or s3://", "correct the variable", BAD_INPUT
        )
    return Folder(paths.PRIVATE / FOLDER / PROJECT, shared=False)
