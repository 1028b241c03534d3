"""Past accounts: what a model makes of the test days that it was not fitted on, kept to compare accounts with."""

import numpy as np
import pandas as pd

from training.data.past_snapshots import PastSnapshots
from training.model.attribution import columns_by_family, sum_by_family
from training.model.churn_model import ChurnModel, decode_segments, encode

MAX_SNAPSHOTS = 6_000


def collect_past_snapshots(model: ChurnModel, test: pd.DataFrame) -> PastSnapshots:
    """What a model makes of snapshots that it was not fitted on, at most 6,000, evenly spaced."""
    rows = test.iloc[:: -(-len(test) // MAX_SNAPSHOTS) or 1]
    matrix = encode(rows, model.inputs)
    segments = decode_segments(matrix, model.inputs)
    return PastSnapshots(
        contributions=sum_by_family(model.predict_contributions(matrix), columns_by_family(model.inputs)),
        churned=rows["churned"].to_numpy(dtype="bool"),
        segments=np.array([segment or "" for segment in segments], dtype="str"),
        accounts=rows["account_id"].astype("category").cat.codes.to_numpy(dtype="int64"),
        days=rows["as_of"].dt.strftime("%Y-%m-%d").to_numpy(dtype="str"),
    )
