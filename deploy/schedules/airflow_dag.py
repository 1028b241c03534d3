"""The daily job of Oarlock in Airflow 3: one task, because the job itself knows which of its steps are done."""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

BUSY = 7  # another job of the day is running

with DAG(
    dag_id="oarlock_daily",
    schedule="30 5 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,  # Oarlock publishes the days that are missing by itself
    max_active_runs=1,
) as dag:
    BashOperator(
        task_id="run_daily",
        bash_command=".venv/bin/oarlock --config churn.toml run daily",
        cwd="/srv/churn",
        skip_on_exit_code=BUSY,
        retries=3,  # each attempt goes on with the step that failed
        retry_delay=timedelta(minutes=10),
        execution_timeout=timedelta(hours=4),
    )
