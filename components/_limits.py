"""The least memory, in MiB, each kind of server starts and works with; less ends in an out-of-memory kill later."""

from __future__ import annotations

from collections.abc import Mapping

MINIMUM_MEMORY_MIB: Mapping[str, int] = {
    "postgres": 128,  # shared_buffers of a quarter, 100 connections (postgresql.org, Resource Consumption)
    "pgbouncer": 16,  # at rest 5 MiB; 2 KiB a connection and a buffer of 4 KiB (pgbouncer.org, FAQ)
    "rabbitmq": 192,  # at rest 110 MiB, its tools another 60 while they run
    "redis": 32,  # an empty server holds 8 MiB; an AOF rewrite copies what it holds
    "consul": 64,  # a single server at rest holds 45 MiB
    "consul-esm": 16,
    "vault": 192,  # a server with its engines at rest holds 100 MiB; a backup of its storage is made in memory
    "kong": 64,  # the original's one worker and shared dictionaries: 128 m mem_cache_size is virtual
    "gateway-agent": 32,  # one Python process without packages: 17 MiB
    "healer": 32,  # one Python process without packages: 14 MiB
    "prometheus": 96,  # at rest 40 MiB; each of a service's 300 series costs 3 KiB while it is in memory
    "alertmanager": 32,  # at rest 28 MiB
    "elasticsearch": 400,  # a heap of 160 MiB starts; below, the class data and the files' cache have no room
    "logstash": 48,  # the stand-in at rest holds 8 MiB; the original needs 768 for its virtual machine
    "kibana": 32,  # the stand-in at rest holds 8 MiB; the original needs 768
    "grafana": 32,  # the stand-in at rest holds 8 MiB; the original needs 192
    "service": 64,  # the reference service at rest holds about 60 MiB
}
DEFAULT_MINIMUM_MIB = 16


def minimum_memory(kind: str) -> int:
    """The least memory for a kind of server, in MiB."""
    return MINIMUM_MEMORY_MIB.get(kind, DEFAULT_MINIMUM_MIB)
