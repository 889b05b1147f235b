"""Published claims, stated before they are tested and judged from a table of jobs; regressions over the same table."""

from src.statistics.claims.claim import Claim, check_columns, claim_from, read_claims
from src.statistics.claims.equal_cost import equal_cost
from src.statistics.claims.judging import Verdict, judge
from src.statistics.claims.regression import regression
from src.statistics.claims.words import readme_table, verdict_table

__all__ = [
    "Claim", "Verdict", "check_columns", "claim_from", "equal_cost", "judge", "read_claims", "readme_table",
    "regression", "verdict_table",
]  # fmt: skip
