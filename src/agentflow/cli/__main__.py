"""`python -m agentflow.cli`: the same as the `agentflow` script."""

import sys

from agentflow.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
