"""The HTTP conventions of every service: problems, callers, strict bodies, pages, versions, idempotency."""
