"""Settling: the garbage collector told what kind of a process this is, once all that stays has been loaded."""

import gc

GC_THRESHOLD = 50_000  # objects between collections: a reply of a thousand accounts makes 30,000, none in a cycle


def tune_garbage_collector() -> None:
    """Keep the collector from walking what is there for good, again and again, while large replies are made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
