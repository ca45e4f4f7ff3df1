"""All of scoring again from the log, in a shadow beside the live one, compared and swapped in."""
