# %% [markdown]
# # From three CSV files to a scored account
#
# Accounts, subscriptions and invoices are enough for a model. This example makes three CSV files of a simulated
# company, tells Oarlock about them in two small files, trains a model, and explains the account most at risk. Run it
# from the folder of the project. It takes some two minutes and writes to the folder `acme`.

# %%
import json
import subprocess
from pathlib import Path

import duckdb

FOLDER = Path("acme")
FOLDER.mkdir(exist_ok=True)


def oarlock(*words: str) -> str:
    """The output of an oarlock command."""
    return subprocess.run(["oarlock", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


# %% [markdown]
# ## 1. Three CSV files
#
# Your own files take the place of these. Their columns are those of docs/reference/raw-tables.md; most are optional.

# %%
CSV_FILES = {
    "accounts": "select account_id, name, segment, created_at from source",
    "subscriptions": """select account_id, subscription_id, plan, seats, mrr, started_at, ended_at, renews_at
        from source""",
    "invoices": "select account_id, invoice_id, issued_at, due_at, paid_at, amount from source",
}
if not (FOLDER / "raw").exists():
    oarlock("simulate", "--accounts", "2000", "--months", "24", "--seed", "7", "--output", str(FOLDER / "raw"))
for name, query in CSV_FILES.items():
    source = duckdb.read_parquet(f"{FOLDER}/raw/{name}/*.parquet")
    duckdb.sql(query).order("all").write_csv(f"{FOLDER}/{name}.csv")
    print(name, len(duckdb.read_csv(f"{FOLDER}/{name}.csv")), "rows")

# %% [markdown]
# ## 2. The mapping and the settings
#
# The mapping names the files. A file that is named like a table and has its columns needs nothing else. `observed_from`
# is the day from which invoices were recorded: subscriptions began years before. `observed_until` is the midnight after
# the last day.

# %%
(FOLDER / "mapping.toml").write_text("""
name = "acme"
observed_from = 2024-07-01T00:00:00Z
observed_until = 2026-07-01T00:00:00Z
folder = "."

[sources]
accounts = "accounts.csv"
subscriptions = "subscriptions.csv"
invoices = "invoices.csv"
""")
(FOLDER / "acme.toml").write_text("""
state = "state"

[data]
dataset = "mapping.toml"

[snapshots]
warmup_days = 90

[evaluation]
ablation_snapshots = 0     # so that the example is short
""")
CONFIG = ("--config", str(FOLDER / "acme.toml"))

# %% [markdown]
# ## 3. Validate, publish, train, promote

# %%
print(oarlock(*CONFIG, "validate"))
print(oarlock(*CONFIG, "publish"))
print(oarlock(*CONFIG, "train")[-400:])
print(oarlock(*CONFIG, "promote"))

# %% [markdown]
# ## 4. The account most at risk, and why

# %%
scores = json.loads(oarlock(*CONFIG, "score", "--all", "--json"))["scores"]
riskiest = scores[0]
print(f"{riskiest['account_id']}: risk {riskiest['risk']:.1%}, band {riskiest['band']}")
for driver in riskiest["drivers"]:
    print(f"{driver['points'] * 100:+.1f} points  {driver['text']}")

# %%
print(oarlock(*CONFIG, "explain", riskiest["account_id"]))
