"""JSON written once: what a reply sends is what the ledger keeps, whatever an id holds."""

import json

import numpy as np
import pytest

from serving.ledger.ledger import Ledger
from serving.schemas.serialization import PreserializedScore, to_json
from serving.scoring.scorer import Scorer
from tests.conftest import EXTRACT_ENDS


def test_a_part_that_was_written_is_copied_and_not_written_again():
    part = PreserializedScore({"risk": 0.25})
    part["risk"] = 0.5
    assert to_json({"scores": [part]}) == b'{"scores":[{"risk":0.25}]}'


def test_it_reads_back_as_it_was():
    content = {"ü": [1, 0.1, None, True, "\u2028\"'\\\n"], "numbers": np.arange(2), "one": np.float64(0.1)}
    assert json.loads(to_json(content)) == {**content, "numbers": [0, 1], "one": 0.1}


def test_an_id_that_has_no_place_in_utf_8_is_given_back_as_it_came():
    content = {"not_scored": [{"account_id": "\ud800"}], "scores": [PreserializedScore({"risk": 0.25})]}
    assert json.loads(to_json(content).decode("utf-8", "surrogatepass")) == content


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        to_json({"what": object()})


def test_the_ledger_keeps_the_very_text_of_the_reply(trained, tmp_path):
    engine = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS)
    engine.ledger = Ledger(tmp_path / "ledger.db")
    reply = engine.score(["1096"], 3)
    with engine.ledger.engine.connect() as connection:
        (kept,) = connection.exec_driver_sql("select served from risks").scalars()
    assert kept.encode() in to_json(reply)
