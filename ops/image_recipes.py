"""Local image builds: the build context of each recipe, and the base image made with debootstrap."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import images
from ops import debian, maven
from ops.errors import MACHINE, Failure
from ops.go_build import lock
from ops.paths import CACHE, PRIVATE, ROOT

Report = Callable[[str], None]
LOGS = PRIVATE / "logs"
#: Lines of a failed build shown to the person; the whole is in the log.
_SHOWN = 12


@dataclass(frozen=True)
class Job:
    """One image to build: with which client, under which tag, what it says where."""

    client: Any
    image: images.Image
    tag: str
    log: Path
    report: Report


def build(client: Any, name: str, source: str, report: Report, registry: str = "") -> None:
    """Builds one image, whose base is there already, under its content-addressed tag; once, whoever else wants it."""
    image = images.load()[name]
    tag = images.reference(name, source, registry)
    LOGS.mkdir(parents=True, exist_ok=True)
    job = Job(client, image, tag, LOGS / f"image-{name}.log", report)
    with lock(CACHE / "images" / f"{name}.lock", lambda: report(f"waiting for another run that builds {name}")) as held:
        if client.images.list(tag):
            return
        if image.base is None:
            _import_base(job, held)
        else:
            _build(job, images.reference(image.base, source, registry))


def _build(job: Job, base: str) -> None:
    with _context(job.image, job.report) as context, debian.relay() as proxy:
        arguments = {
            "BASE": base,
            "APT_OPTIONS": debian.apt_options(),
            # Known to every builder and kept out of the image's history: the only network a build has is this relay.
            "http_proxy": proxy,
        }
        job.report(f"building image {job.image.name}")
        steps = job.client.api.build(
            path=str(context),
            tag=job.tag,
            buildargs=arguments,
            labels=_labels(job.image),
            network_mode="host",
            rm=True,
            forcerm=True,
            decode=True,
        )
        _follow(steps, job.image.name, job.log)


def _labels(image: images.Image) -> dict[str, str]:
    return {
        "org.opencontainers.image.title": image.name,
        "org.opencontainers.image.version": image.version,
        "nexus.stand-in": str(image.stand_in).lower(),
    }


def _follow(steps: Any, name: str, log: Path) -> None:
    """Writes the build's output to the log; a Failure with its last lines when it went wrong."""
    lines: list[str] = []
    error = ""
    with log.open("w") as file:
        for step in steps:
            text = step.get("stream") or step.get("error") or ""
            error = step.get("error") or error
            file.write(text)
            lines += [line for line in text.splitlines() if line.strip()]
    if error:
        shown = "\n".join(lines[-_SHOWN:])
        raise Failure(
            f"building image {name} failed", shown, f"the whole output is in {log}; then run the command again"
        )


@contextmanager
def _context(image: images.Image, report: Report) -> Iterator[Path]:
    """The build context: the recipe, its compiled program, its sources and their dependencies."""
    with tempfile.TemporaryDirectory(prefix=f"nexus-{image.name}-") as scratch:
        context = Path(scratch)
        for path in images.source_files(image.recipe):
            _copy(path, context / path.relative_to(image.recipe))
        if image.artifact:
            from ops import artifacts

            built = artifacts.build(image.artifact, report)
            _copy(built, context / image.artifact.removesuffix("-standin"))
        if (image.recipe / maven.PROJECT).exists():
            maven.fetch(image.recipe, context, report)
        for folder in image.sources:
            for path in images.source_files(ROOT / folder):
                _copy(path, context / path.relative_to(ROOT))
            _install_dependencies(ROOT / folder / "requirements.txt", context / "deps", image, report)
        yield context


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def _install_dependencies(requirements: Path, target: Path, image: images.Image, report: Report) -> None:
    """Wheels for the image's Python, whatever Python runs here; checked against the pinned hashes, nothing compiled."""
    target.mkdir()
    if not requirements.exists():
        return
    report(f"fetching the Python packages of image {image.name}")
    machine = platform.machine()
    version = images.load()[image.base or "python"].version
    platforms = [f"manylinux_{minor}_{machine}" for minor in ("2_28", "2_17", "2_12")] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    command += ["--target", str(target), "--only-binary=:all:", "--require-hashes", "--no-deps"]
    command += ["--implementation", "cp", "--python-version", version]
    command += [word for tag in platforms for word in ("--platform", tag)]
    done = subprocess.run([*command, "-r", str(requirements)], capture_output=True, text=True, check=False)
    if done.returncode:
        why = "\n".join(done.stderr.strip().splitlines()[-_SHOWN:])
        remedy = f"check that `pip download -r {requirements.relative_to(ROOT)}` works here, then run the command again"
        raise Failure(f"the Python packages of image {image.name} could not be fetched", why, remedy)
    shutil.rmtree(target / "bin", ignore_errors=True)


def _import_base(job: Job, held: int) -> None:
    """The base image: a minimal Debian made by debootstrap on this machine, imported as one layer."""
    if not debian.is_root_on_debian():
        raise Failure(
            f"image {job.image.name} cannot be built here",
            "the base image is made with debootstrap, which needs root on a Debian machine",
            "run as root on Debian, or use the original images: --source upstream",
            MACHINE,
        )
    if shutil.which("debootstrap") is None:
        debian.install(["debootstrap"], job.report)
    job.report("bootstrapping the Debian base image (about a minute)")
    _remove_leftovers()
    # A folder of our own: /tmp is often mounted without device files or execution.
    with tempfile.TemporaryDirectory(prefix="base-", dir=CACHE) as scratch, job.log.open("w") as output:
        root = Path(scratch) / "root"
        root.mkdir(mode=0o755)
        script = [str(job.image.recipe / "bootstrap.sh"), str(root), debian.MIRROR]
        with debian.relay() as proxy:
            environment = {"PATH": os.environ["PATH"], "http_proxy": proxy, "TMPDIR": scratch}
            done = subprocess.run(script, env=environment, stdout=output, stderr=output, pass_fds=[held], check=False)
        if done.returncode:
            why = "\n".join(job.log.read_text().strip().splitlines()[-_SHOWN:])
            raise Failure("debootstrap of the base image failed", why, f"the whole output is in {job.log}")
        _import(job, root)


def _remove_leftovers() -> None:
    """What a killed run left: its folder and what was mounted there. The lock is held, so nobody uses it."""
    for folder in CACHE.glob("base-*"):
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (mounted := line.split()[1]).startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _import(job: Job, root: Path) -> None:
    packed = subprocess.Popen(["tar", "--numeric-owner", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    repository, _, version = job.tag.rpartition(":")
    labels = " ".join(f'{key}="{value}"' for key, value in _labels(job.image).items())
    changes = ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "CMD bash", f"LABEL {labels}"]
    job.client.api.import_image_from_stream(packed.stdout, repository, version, changes=changes)
    if packed.wait():
        raise Failure(
            "packing the base image failed", f"tar ended with {packed.returncode}", "is the disk full?", MACHINE
        )
