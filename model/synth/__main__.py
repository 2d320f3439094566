"""`python -m model.synth`."""

import sys

from model.synth.command import main

if __name__ == "__main__":
    sys.exit(main())
