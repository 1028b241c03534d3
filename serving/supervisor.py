"""The process above the workers: BentoML's, on a clock that never jumps.

Tornado plans by the wall clock what it repeats. After that was set back by an hour, a worker that died would not be
replaced for an hour, and then the service would be gone with the last of them.
"""

import runpy
import time

from tornado.ioloop import IOLoop


def main() -> None:
    """Run the command line of BentoML."""
    IOLoop.time = _steady_time
    runpy.run_module("bentoml", run_name="__main__", alter_sys=True)


def _steady_time(self: IOLoop) -> float:  # noqa: ARG001 - the loop gives itself
    return time.monotonic()


if __name__ == "__main__":
    main()
