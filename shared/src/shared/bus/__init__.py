"""The event path: out through the outbox and its relay, in through the consumer and its sequence gate."""
