"""Ready mappings from a folder of exports to a promoted model, with no edit.

    python -m benchmarks.ready_mappings [--accounts 2000] [--samples stripe chargebee,hubspot] [--folder FOLDER]

A simulated company is written in the shape of each vendor. Each sample goes through `init --from --yes`, `publish`,
`train` and `promote`, as a person would type them. What the mapping gives is compared with what was simulated: the
accounts, those that left, the MRR of those that stayed, and the days on which the others left.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.ready_mappings.contracts import Contracts, mapped_contracts, simulated_contracts
from benchmarks.ready_mappings.vendor_shapes import write_vendor_exports
from features.simulator.model.parameters import Company
from features.simulator.writer import write_company

SAMPLES = (
    *("stripe", "chargebee", "recurly", "hubspot", "salesforce", "posthog,nps", "stripe,zendesk,segment"),
    *("chargebee,hubspot,intercom,posthog", "recurly,salesforce,amplitude", "chargebee,vitally,delighted"),
)
END = datetime(2026, 7, 1)
STEPS = {"publish": "published", "train": "trained", "promote": "promoted"}
HEAD = "sample | questions | accounts | left | MRR | equal to the simulation | reached | seconds | why no further"


@dataclass(frozen=True)
class SampleResult:
    """How far a sample got, how many questions it asked, and whether its contracts are the simulated ones."""

    sample: str
    questions: int
    contracts: Contracts | None
    is_equal: bool
    reached: str
    seconds: int
    reason: str

    def __str__(self) -> str:
        contracts = self.contracts
        counts = f"{contracts.accounts:,} | {contracts.left:,} | {contracts.mrr:,.2f}" if contracts else " | | "
        equal = ("yes" if self.is_equal else "no") if contracts else ""
        return (
            f"{self.sample} | {self.questions} | {counts} | {equal} | {self.reached} | {self.seconds} | {self.reason}"
        )


def main() -> None:
    """Print a row per sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--samples", nargs="*", default=SAMPLES)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        write_company(Company(accounts=arguments.accounts), folder / "company")
        print(HEAD)
        for sample in arguments.samples:
            print(run_sample(folder, sample), flush=True)


def run_sample(folder: Path, sample: str) -> SampleResult:
    """Write a sample's exports, and go from them to a promoted model."""
    begin, exports = time.monotonic(), folder / sample.replace(",", "_")
    write_vendor_exports(folder / "company", exports, sample.split(","))
    init = _run("init", str(exports), "--from", sample, "--yes", "--json")
    if init.returncode:
        return SampleResult(sample, 0, None, False, "refused by init", round(time.monotonic() - begin), init.stderr)
    questions = len(json.loads(init.stdout[init.stdout.index("{") :])["answers"])
    contracts = mapped_contracts(exports / "mapping.toml", exports / "state" / "converted", END)
    is_equal = contracts == simulated_contracts(folder / "company", END)
    reached, reason = _run_steps(exports / f"{exports.name}.toml")
    return SampleResult(sample, questions, contracts, is_equal, reached, round(time.monotonic() - begin), reason)


def _run_steps(config: Path) -> tuple[str, str]:
    """The last step that succeeded, and why the next one did not."""
    reached = "validated"
    for step, name in STEPS.items():
        result = _run("--config", str(config), step)
        if result.returncode:
            return reached, " ".join(result.stderr.split())
        reached = name
    return reached, ""


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "oarlock", *command], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
