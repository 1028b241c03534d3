"""Account ids: one form, into which every spelling falls, and which is the only one that is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.account_ids import account_id_fault, canonical_account_id

CAFE, CAFE_IN_PARTS = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize("account_id", ["A1", "a b", CAFE, "\u03a9\u03bc \U0001f6a3", "[/x]", "=1+1"])
def test_an_id_in_its_form_is_taken_as_it_is(account_id):
    assert (account_id_fault(account_id), canonical_account_id(account_id)) == ("", account_id)


@pytest.mark.parametrize(
    ("account_id", "fault"),
    [
        ("", "cannot be empty"),
        (" ", "cannot be empty"),
        ("A1\0", "control character"),
        ("A1\n", "control character"),
        ("\ud800", "control character"),
        (" A1", "white space"),
        ("A1\u00a0", "white space"),
        (CAFE_IN_PARTS, "NFC"),
    ],
)
def test_any_other_id_is_refused_with_the_reason(account_id, fault):
    assert fault in account_id_fault(account_id)


@given(st.text())
def test_what_is_taken_is_what_is_meant(text):
    meant = canonical_account_id(text)
    assert (account_id_fault(text) == "") == (meant == text != "")
    assert canonical_account_id(meant) == meant
