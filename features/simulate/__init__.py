"""A company whose truth is known: every raw table of the contract and, apart from them, what drove each account."""
