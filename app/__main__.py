"""`python -m app` is `mmnet`."""

import sys

from app.cli import main

sys.exit(main())
