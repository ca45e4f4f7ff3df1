"""All of scoring again from the log, in a shadow beside the live tables, by which these are mended."""
