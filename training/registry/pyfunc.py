"""The model as MLflow's generic Python model, for batch use and other tools: a table of signals in, risks out.

MLflow runs this file when it loads a version: the one place where importing acts, because that is its convention.
"""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from training.model.churn_model import encode, load_model


class RiskModel(PythonModel):
    """A risk per row, from the booster text and JSON beside it; nothing is unpickled."""

    def load_context(self, context: PythonModelContext) -> None:
        self.model = load_model(Path(context.artifacts["model"]))

    def predict(self, context: object, model_input: pd.DataFrame, params: dict | None = None):  # type: ignore[override]
        del context, params
        return pd.DataFrame({"risk": self.model.risks(encode(model_input, self.model.inputs))})


set_model(RiskModel())
