"""The steps of the daily job, in their order; importing them imports nothing else, so that `--help` can name them."""

from typing import Literal, get_args

StepName = Literal["validate", "publish", "score", "export", "webhooks", "monitor"]
STEPS: tuple[StepName, ...] = get_args(StepName)
