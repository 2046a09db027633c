"""What comes with the package: priors, policies, tables of the study, the paper's numbers."""

from pathlib import Path

RESULTS = Path(__file__).parent / "results"
"""the folder of the study's tables, NAME.parquet and NAME-curves.parquet"""
