"""Runs one Pulumi program in this process and shows what went wrong in it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pulumi
from pulumi.runtime import reset_options, run_in_stack, set_all_config


def run(request: Any, engine: str) -> bool:
    """Run the program that a ``RunRequest`` names; true when it failed, which the user has then been told."""
    # A context of its own, as the SDK keeps the state of a run in context variables.
    return contextvars.copy_context().run(_run, request, engine)


def _run(request: Any, engine: str) -> bool:
    folder = Path(request.info.program_directory or request.pwd)
    _configure(request, engine, folder)
    workers = ThreadPoolExecutor(max_workers=max(request.parallel, 1) * 4)
    loop = asyncio.new_event_loop()
    loop.set_default_executor(workers)
    loop.set_exception_handler(_stop_when_engine_is_gone)
    # When a program fails, futures stay unobserved; asyncio's complaints about them would bury the reason.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        loop.run_until_complete(run_in_stack(lambda: _execute(folder, request.info.entry_point or ".")))
    except BaseException as error:
        return _report(error, folder)
    else:
        return False
    finally:
        _close(loop)
        sys.stdout.flush()
        sys.stderr.flush()


def _configure(request: Any, engine: str, folder: Path) -> None:
    reset_options(
        project=request.project,
        stack=request.stack,
        parallel=request.parallel,
        preview=request.dryRun,
        organization=request.organization or "organization",
        monitor_address=request.monitor_address,
        engine_address=engine,
        root_directory=request.info.root_directory or str(folder),
    )
    set_all_config(dict(request.config), list(request.configSecretKeys))
    os.chdir(request.pwd or folder)
    sys.argv = [str(folder), *request.args]
    # The program's own modules come first, in the place of this host's.
    sys.path[0] = str(folder)


def _execute(folder: Path, entry: str) -> None:
    target = (folder / entry).resolve()
    if target.is_dir() and not (target / "__main__.py").exists():
        raise pulumi.RunError(f"{target} holds no __main__.py, which is where a Pulumi program in Python starts")
    runpy.run_path(str(target), run_name="__main__")


def _report(error: BaseException, folder: Path) -> bool:
    if isinstance(error, grpc.RpcError) and error.code() == grpc.StatusCode.UNAVAILABLE:
        return False  # the engine is stopping, and says why itself
    if isinstance(error, SystemExit) and not error.code:
        return False
    if isinstance(error, pulumi.RunError):
        text = str(error)
    elif isinstance(error, grpc.RpcError):
        text = f"the engine refused a call: {error.details()}"
    elif isinstance(error, SystemExit):
        text = f"the program called sys.exit({error.code!r})"
    else:
        text = "Program failed with an unhandled exception:\n" + user_traceback(error, folder)
    with suppress(grpc.RpcError):
        pulumi.log.error(text)
    return True


def user_traceback(error: BaseException, folder: Path) -> str:
    """The traceback from the first frame of the program on; the host's and the SDK's frames before it say nothing."""
    report = traceback.TracebackException.from_exception(error)
    installed = Path(sys.prefix)
    mine = [
        number
        for number, frame in enumerate(report.stack)
        if Path(frame.filename).is_relative_to(folder) and not Path(frame.filename).is_relative_to(installed)
    ]
    if mine:
        report.stack = traceback.StackSummary.from_list(report.stack[mine[0] :])
    return "".join(report.format()).rstrip()


def _stop_when_engine_is_gone(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), grpc.RpcError):
        loop.stop()
    else:
        loop.default_exception_handler(context)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            loop.run_until_complete(task)
    loop.close()
