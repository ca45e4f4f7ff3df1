"""Reading scores, computed at the moment of reading."""
