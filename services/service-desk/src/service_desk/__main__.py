"""`python -m service_desk api|worker|migrate|…`."""

import sys

from service_desk.app import SERVICE
from shared.cli import main

sys.exit(main(SERVICE))
