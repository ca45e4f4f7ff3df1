"""The trend of a customer's loyalty: how it differs from what it was, and what made the difference."""
