"""The quality report: models beside everyday image files and the floor of k-means.

What README and the models' cards say of quality comes from here.
"""

from vqvae.quality.documents import fill, measured
from vqvae.quality.figures import Report
from vqvae.quality.plot import rate_distortion_plot
from vqvae.quality.report import make_report
from vqvae.quality.sheet import contact_sheet
from vqvae.quality.tables import HEADS, as_markdown, notes_of, tables_of

__all__ = [
    "HEADS",
    "Report",
    "as_markdown",
    "contact_sheet",
    "fill",
    "make_report",
    "measured",
    "notes_of",
    "rate_distortion_plot",
    "tables_of",
]
