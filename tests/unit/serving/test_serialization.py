"""Serialization: a response contains the same JSON text as the ledger, for any account id."""

import json
from typing import cast

import numpy as np
import pytest

from serving.ledger.ledger import Ledger
from serving.schemas.responses import Score
from serving.schemas.serialization import PreserializedScore, to_json
from serving.scoring.scorer import open_scorer
from tests.support.trained_model import EXTRACT_END

SCORE = cast(Score, {"risk": 0.25})


def test_a_preserialized_score_is_copied():
    part = PreserializedScore(SCORE)
    part["risk"] = 0.5
    assert to_json({"scores": [part]}) == b'{"scores":[{"risk":0.25}]}'


def test_json_is_read_back_unchanged():
    content = {"ü": [1, 0.1, None, True, "\u2028\"'\\\n"], "numbers": np.arange(2), "one": np.float64(0.1)}
    assert json.loads(to_json(content)) == {**content, "numbers": [0, 1], "one": 0.1}


def test_an_id_that_is_not_valid_utf_8_is_returned_unchanged():
    content = {"not_scored": [{"account_id": "\ud800"}], "scores": [PreserializedScore(SCORE)]}
    assert json.loads(to_json(content).decode("utf-8", "surrogatepass")) == content


def test_a_value_that_is_not_json_is_refused():
    with pytest.raises(TypeError):
        to_json({"what": object()})


def test_the_ledger_stores_the_text_of_the_response(trained, tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger)
    response = scorer.score_and_record(scorer.score_accounts(["1096"]), 3, "r1")
    with ledger.engine.connect() as connection:
        (stored,) = connection.exec_driver_sql("select score from risks").scalars()
    assert stored.encode() in to_json(response)
