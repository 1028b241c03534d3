"""A progress callback for tests."""


def ignore_progress(step: str, done: int, total: int) -> None:
    """Do nothing with the progress."""
