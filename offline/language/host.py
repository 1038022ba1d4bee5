"""Started by ``pulumi-language-python``."""

from nexus_language.server import main

main()
