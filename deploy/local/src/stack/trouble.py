"""The one error of the local stack: what is wrong, and what to do next."""


class Trouble(Exception):
    """Something the person at the keyboard can put right; the message says how, in one paragraph."""
