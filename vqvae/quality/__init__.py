"""The quality report: what models are, how they fare beside everyday image files and the floor of k-means.

What README and the models' cards say of quality comes from here.
"""

from vqvae.quality.documents import check_blocks, fill, measured, notes_of, page, tables_of
from vqvae.quality.figures import Report
from vqvae.quality.model_sheets import decoders_sheet, faults_sheet, shows_less
from vqvae.quality.plot import rate_distortion_plot
from vqvae.quality.report import make_report
from vqvae.quality.sheet import contact_sheet
from vqvae.quality.tables import Table

__all__ = [
    "Report",
    "Table",
    "check_blocks",
    "contact_sheet",
    "decoders_sheet",
    "faults_sheet",
    "fill",
    "make_report",
    "measured",
    "notes_of",
    "page",
    "rate_distortion_plot",
    "shows_less",
    "tables_of",
]
