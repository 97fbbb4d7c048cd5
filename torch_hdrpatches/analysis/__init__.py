"""Tools to check recipes before an export, and exports afterwards.

``forecast``      estimate of an export: samples, bytes, time, problems
``bench``         speed of this machine: workers, decoding, shard codecs
``split``         training and validation recipes without a shared shot, and their audit
``reproduce``     exported samples made again and compared
``movie_view``    movies of a recipe, probed and opened
``report_data``   samples of a recipe or export to look at, source frames, refused windows, brightness
``contact_sheet`` a PNG with one sample per row
``html_report``   the report as one self-contained page
``charts``        the report's charts as SVG
``shown_path``    paths of a sheet or report, which notebooks show
"""

from .contact_sheet import contact_sheet
from .forecast import forecast
from .html_report import html_report
from .reproduce import reproduce
from .split import audit, split

__all__ = ["audit", "contact_sheet", "forecast", "html_report", "reproduce", "split"]
