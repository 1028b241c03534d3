"""The service that one would write first: Feast's data frame, MLflow's pyfunc, shap's explainer, in a BentoML api.

OARLOCK_CONFIG names the settings; NAIVE_EXPLAINER=each builds the explainer in every request (N0), else once (N1).
"""

import os
from pathlib import Path
from typing import Any

import bentoml
import mlflow
import numpy as np
import shap

from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.store.feast_store import FEATURE_SERVICE, open_store
from training.model.churn_model import encode
from training.registry.mlflow_registry import open_registry


class NaiveModel:
    """Risks with the signals that drive them most; the store may be that of another configuration."""

    def __init__(self, config: Path, store: Path) -> None:
        settings = read_settings(config)
        state = open_state_dir(settings)
        self.store = open_store(open_state_dir(read_settings(store)), read_settings(store).name)
        registry = open_registry(state, settings.name)
        version = registry.champion()
        self.pyfunc = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.number}")
        self.model: Any = self.pyfunc.unwrap_python_model().model
        self.explainer = shap.TreeExplainer(self.model.booster)

    def score(self, account_ids: list[str], drivers: int = 3) -> list[dict[str, Any]]:
        """The risk of each account and the signals of the largest SHAP values."""
        rows = self.store.get_online_features(
            features=self.store.get_feature_service(FEATURE_SERVICE),
            entity_rows=[{"account_id": account_id} for account_id in account_ids],
        ).to_df()
        risks = self.pyfunc.predict(rows[self.model.signal_names])["risk"]
        each = os.environ.get("NAIVE_EXPLAINER") == "each"
        explainer = shap.TreeExplainer(self.model.booster) if each else self.explainer
        values = np.asarray(explainer(encode(rows, self.model.inputs)).values)
        return [
            {
                "account_id": account_id,
                "risk": float(risk),
                "drivers": [
                    {"signal": self.model.signal_names[at], "margin": float(shares[at])}
                    for at in np.argsort(-np.abs(shares))[:drivers]
                ],
            }
            for account_id, risk, shares in zip(account_ids, risks, values, strict=True)
        ]


@bentoml.service(name="naive", traffic={"timeout": 120})
class Naive:
    """The model over HTTP."""

    def __init__(self) -> None:
        config = Path(os.environ["OARLOCK_CONFIG"])
        self.model = NaiveModel(config, config)

    @bentoml.api
    def score(self, account_ids: list[str], drivers: int = 3) -> list[dict[str, Any]]:
        """The risk of each account and the signals of the largest SHAP values."""
        return self.model.score(account_ids, drivers)
