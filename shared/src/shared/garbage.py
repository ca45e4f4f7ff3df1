"""Python's search for garbage, which is costly in a process that handles many small objects."""

import gc


def collect_seldom() -> None:
    """What was imported stays: searching it for garbage again and again takes a fifth of a batch's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
