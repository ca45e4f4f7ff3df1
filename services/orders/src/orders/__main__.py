"""`python -m orders api|worker|migrate|…`."""

import sys

from orders.app import SERVICE
from shared.cli import main

sys.exit(main(SERVICE))
