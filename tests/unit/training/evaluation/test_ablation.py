"""Ablation: each family is left out once, and usage is also used alone."""

import pytest

from features.reports.dictionary import required_tables
from features.signals.registry import catalogue
from training.evaluation.ablation import USAGE_ONLY, ablation_variants

SIGNALS = catalogue()
VARIANTS = dict(ablation_variants(SIGNALS))


@pytest.mark.parametrize("family", sorted({signal.family for signal in SIGNALS}))
def test_a_family_is_left_out_once(family):
    assert VARIANTS[f"without {family}"] == {signal.name for signal in SIGNALS if signal.family != family}


def test_usage_alone_reads_no_other_table():
    tables = required_tables(SIGNALS)
    assert VARIANTS[USAGE_ONLY] == {name for name in tables if tables[name] == ("usage",)} != set()
