"""The customer archive: one file per customer, and every change to it."""
