"""Purchases, complaints and customers as facts, each counted once, and the state they add up to."""
