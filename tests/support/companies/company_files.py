"""A small company as three CSV files: sixty accounts over two years, of which every third leaves."""

import csv
import io
from datetime import date, timedelta
from pathlib import Path

ACCOUNTS, MONTHS = 60, 24
BEGIN = date(2024, 1, 1)
Rows = list[dict[str, object]]


def company_rows() -> dict[str, Rows]:
    """The rows of each file, by its name: customers, contracts and events."""
    accounts, contracts, events = [], [], []
    for n in range(ACCOUNTS):
        start = BEGIN + timedelta(days=3 * n)
        end = start + timedelta(days=200 + 5 * n) if n % 3 == 0 else None
        name = f"C{n:03}"
        accounts.append({"id": name, "name": f"Company {n}", "country": "DE", "created_at": start})
        contracts.append(
            {
                "contract_id": f"K{n}",
                "customer_id": name,
                "plan": "pro",
                "mrr": 100 + n,
                "start_date": start,
                "end_date": end,
            }
        )
        last = end or BEGIN + timedelta(days=30 * MONTHS)
        days = range(0, (last - start).days, 7)
        events += [
            {"customer_id": name, "event": "login", "timestamp": f"{start + timedelta(days=d)} 09:30:00"} for d in days
        ]
    return {"customers": accounts, "contracts": contracts, "events": events}


def write_csv(file: Path, rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """Write rows as CSV; an empty value is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.getvalue().encode(encoding))
    return file


def write_company(folder: Path, tables: dict[str, Rows]) -> Path:
    """Write each table as a CSV file; returns the folder."""
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", rows)
    return folder
