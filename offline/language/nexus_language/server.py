"""A Python language host for the Pulumi engine, on the protocol that the ``pulumi`` wheel ships.

The official host is a Go program that starts a second Python for the user's program; this one runs the program in its
own process, which saves about three seconds per command. Protocol: ``pulumi/language.proto`` (LanguageRuntime). The
engine starts ``pulumi-language-python [flags] ENGINE_ADDRESS`` and reads the port from the first line of stdout.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import grpc
from pulumi.runtime.proto import LanguageRuntimeServicer, language_pb2, language_pb2_grpc, plugin_pb2

from nexus_language import environment, plugin, program

ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
#: Seconds between looks at whether the engine is still there. It normally stops its plugins itself.
ORPHAN_CHECK = 1.0


class Host(LanguageRuntimeServicer):
    """Answers the engine; what is about programs or installed packages is in the modules of these names."""

    def __init__(self, engine: str) -> None:
        self.engine = engine

    def Handshake(self, request, context):  # noqa: N802, D102
        self.engine = request.engine_address or self.engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request, context):  # noqa: N802, D102
        return plugin_pb2.PluginInfo(version=environment.version("pulumi"))

    def GetRequiredPackages(self, request, context):  # noqa: N802, D102
        plugins = [plugin_pb2.PackageDependency(kind="resource", **plugin) for plugin in environment.plugins()]
        return language_pb2.GetRequiredPackagesResponse(packages=plugins)

    def GetRequiredPlugins(self, request, context):  # noqa: N802, D102
        plugins = [plugin_pb2.PluginDependency(kind="resource", **plugin) for plugin in environment.plugins()]
        return language_pb2.GetRequiredPluginsResponse(plugins=plugins)

    def About(self, request, context):  # noqa: N802, D102
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetProgramDependencies(self, request, context):  # noqa: N802, D102
        found = environment.dependencies(transitive=request.transitiveDependencies)
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=name, version=version) for name, version in found]
        )

    def InstallDependencies(self, request, context):  # noqa: N802, D102
        for line, failed in environment.install(request.info.program_directory or request.directory):
            if failed:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, line)
            yield language_pb2.InstallDependenciesResponse(stdout=line.encode())

    def Run(self, request, context):  # noqa: N802, D102
        error = program.run(request, self.engine)
        # "bail" says that the error has been shown already, so that the engine does not show a second one.
        return language_pb2.RunResponse(bail=error)

    def RunPlugin(self, request, context):  # noqa: N802, D102
        for name, value in plugin.run(request, context):
            yield language_pb2.RunPluginResponse(**{name: value})


def leave(signum: int = 0, frame: FrameType | None = None) -> None:
    """End now and quietly: worker threads may be waiting for an engine that has gone."""
    plugin.stop_all()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def watch(parent: int) -> None:
    """End when the engine has died without stopping its plugins (SIGKILL)."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK)
    leave()


def main() -> None:
    """Serve on a free port of the loopback interface until the engine ends this process."""
    parent = os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    # A program or plugin keeps a thread for as long as it runs.
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=ANY_SIZE)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.reconfigure(line_buffering=True)  # a program's prints appear when they happen
    sys.stdout.write(f"{port}\n")
    threading.Thread(target=watch, args=(parent,), daemon=True).start()
    server.wait_for_termination()
