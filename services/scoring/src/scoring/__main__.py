"""`python -m scoring api|worker|migrate|…`."""

import sys

from scoring.app import SERVICE
from shared.cli import main

sys.exit(main(SERVICE))
