"""Lists of everybody's scores: sorted, filtered, counted."""
