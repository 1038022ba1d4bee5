"""``python -m ops``: what the launcher runs."""

from ops.cli import main

main()
