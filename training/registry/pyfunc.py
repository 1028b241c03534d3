"""The model as MLflow's generic Python model, for batch use and other tools: a table of signals in, risks out.

MLflow runs this file when it loads a version, so here alone importing has an effect.
"""

# MLflow's signatures are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from training.model.churn_model import encode, load_model


class RiskModel(PythonModel):
    """One risk per row, from the booster's text and a JSON document; nothing is unpickled."""

    def load_context(self, context: PythonModelContext) -> None:
        artifacts: dict[str, str] = context.artifacts
        self.model = load_model(Path(artifacts["model"]))

    def predict(self, context: object, model_input: pd.DataFrame, params: object = None):  # type: ignore[override]
        del context, params
        return pd.DataFrame({"risk": self.model.predict_risks(encode(model_input, self.model.inputs))})


set_model(RiskModel())
