#!/bin/sh
# Starts the server with the folders of the environment. Settings come from GF_SECTION_KEY, or from the file that
# GF_SECTION_KEY__FILE names, which the server reads itself, so that no secret enters its environment.
set -eu
exec grafana server --homepath="$GF_PATHS_HOME" --config="$GF_PATHS_CONFIG" --packaging=docker "$@"
