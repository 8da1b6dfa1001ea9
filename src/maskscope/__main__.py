"""`python -m maskscope`: the same program as `maskscope`."""

import sys

from maskscope.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
