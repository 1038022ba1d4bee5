"""What Pulumi runs for ``--policy-pack policy``: serves the rules until the engine ends this process."""

import gc
import sys
from pathlib import Path

gc.disable()  # it lives for one command
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy.server import main  # noqa: E402

main()
