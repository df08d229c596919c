"""What the siege has and is used here too: its drawn photographs, and how it starts and asks the service."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "siege"))

from clients import Due, poisson
from deck import photograph
from report import processor
from server import Server, serving
from tally import percentile

__all__ = ["Due", "Server", "percentile", "photograph", "poisson", "processor", "serving"]
