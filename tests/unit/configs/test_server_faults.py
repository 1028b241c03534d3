"""An error of a server is one sentence that names the server and the next step, and never a password."""

import mlflow.exceptions
import psycopg
import pytest
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from sqlalchemy.exc import OperationalError

from configs.errors import DatabaseDown, NotReady
from configs.servers.faults import explain_server_error, mlflow_unreachable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "API request to http://ops:secret@mlflow:5000/api/2.0/x failed with exception HTTPConnectionPool"
            "(host='mlflow', port=5000): Max retries exceeded (Caused by ... [Errno 111] Connection refused)",
            "Cannot use MLflow: its server mlflow:5000 refuses connections.",
        ),
        (
            "API request to https://mlflow/api/2.0/x failed: Read timed out. (read timeout=20)",
            "Cannot use MLflow: its server mlflow does not answer in time.",
        ),
        (
            "API request to http://mlflow:5000/api failed: too many 500 error responses",
            "Cannot use MLflow: its server mlflow:5000 answers with errors of its own.",
        ),
        ("no such host: postgresql://ops:secret@db", "Cannot use MLflow: no such host: postgresql://db."),
    ],
)
def test_a_fault_of_mlflow_names_its_server(text: str, message: str):
    assert mlflow_unreachable(mlflow.exceptions.MlflowException(text)).message == message


def test_a_fault_of_postgres_behind_an_error_of_a_library_is_found():
    refused = OperationalError("select 1", {}, psycopg.OperationalError("connection refused\nIs it running?"))
    refused.__cause__ = refused.orig
    explained = explain_server_error(refused)
    assert isinstance(explained, DatabaseDown)
    assert explained.message == "The database in Postgres cannot be used: connection refused."


def test_an_answer_of_mlflow_is_no_fault_of_its_server():
    unreachable = mlflow.exceptions.MlflowException("API request to http://mlflow failed: Connection refused")
    assert isinstance(explain_server_error(unreachable), NotReady)
    assert explain_server_error(mlflow.exceptions.MlflowException("no such run", RESOURCE_DOES_NOT_EXIST)) is None
    assert explain_server_error(ValueError("Connection refused")) is None
