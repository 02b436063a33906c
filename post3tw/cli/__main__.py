"""`python -m post3tw.cli` is `post3`."""

import sys

from post3tw.cli import main

sys.exit(main())
