"""Published claims, stated before they are tested and judged from a table of jobs; regressions over the same table."""

from src.claims.claim import Claim, check_columns, claim_from, read_claims
from src.claims.equal_cost import equal_cost
from src.claims.judging import Verdict, judge
from src.claims.regression import regression
from src.claims.views import readme_table, verdict_table

__all__ = [
    "Claim", "Verdict", "check_columns", "claim_from", "equal_cost", "judge", "read_claims", "readme_table",
    "regression", "verdict_table",
]  # fmt: skip
