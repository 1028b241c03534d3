"""Determinism: fits that give the same bytes on any number of cores."""

from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def single_blas_thread() -> Generator[None, None, None]:
    """One thread for linear algebra while the block runs: the number of threads changes the last bits of a sum."""
    from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

    with threadpool_limits(1, user_api="blas"):
        yield
