"""Started by ``pulumi-language-python``."""

import gc

gc.disable()  # a command lives for seconds: looking for garbage made a preview a tenth longer

from nexus_language.server import main  # noqa: E402

main()
