"""`python -m customer api|worker|migrate|…`."""

import sys

from customer.app import SERVICE
from shared.cli import main

sys.exit(main(SERVICE))
