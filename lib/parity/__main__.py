"""Command line: `python -m lib.parity FOLDER ...`."""

import sys

from lib.parity import main

if __name__ == "__main__":
    sys.exit(main())
