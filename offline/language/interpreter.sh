# Sets $python: NEXUS_PYTHON, else the nearest .venv above the program, else python3. Programs of several clones of the
# project run on one toolchain, so it cannot be a fixed path.
python=${NEXUS_PYTHON:-}
folder=$PWD
while [ -z "$python" ] && [ -n "$folder" ]; do
    [ -x "$folder/.venv/bin/python" ] && python=$folder/.venv/bin/python
    folder=${folder%/*}
done
python=${python:-python3}
