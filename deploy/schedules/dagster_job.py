"""The daily job of Oarlock in Dagster: one op, because the job itself knows which of its steps are done."""

import json
import subprocess

import dagster

COMMAND = (".venv/bin/oarlock", "--config", "churn.toml", "run", "daily", "--json")
FOLDER = "/srv/churn"
BUSY = 7  # another job of the day is running


@dagster.op(retry_policy=dagster.RetryPolicy(max_retries=3, delay=600))  # each attempt goes on with what failed
def run_daily(context: dagster.OpExecutionContext) -> None:
    """Run the job; its steps are logged."""
    done = subprocess.run(COMMAND, cwd=FOLDER, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == BUSY:
        context.log.info("another job of the day is running")
        return
    if done.stdout:
        for name, step in json.loads(done.stdout)["steps"].items():
            context.log.info(f"{name}: {step['outcome']}, {step['detail']}")
    if done.returncode:
        raise dagster.Failure(f"oarlock run daily ended with exit code {done.returncode}")


@dagster.job
def oarlock_daily() -> None:
    """The work of a day."""
    run_daily()


definitions = dagster.Definitions(
    jobs=[oarlock_daily], schedules=[dagster.ScheduleDefinition(job=oarlock_daily, cron_schedule="30 5 * * *")]
)
