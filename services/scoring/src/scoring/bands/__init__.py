"""Churn bands, and the timers that tell when the next one is reached by time alone."""
