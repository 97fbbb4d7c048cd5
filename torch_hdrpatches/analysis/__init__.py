"""Looking at recipes and exports before and after the work.

``forecast``      what a recipe will give: samples, bytes, time, problems
``bench``         how fast this machine decodes these movies
``split``         training and validation without a shared shot
``reproduce``     an exported sample made again and compared
``selection``     samples of a recipe or export to look at, and their source frames
``movie_view``    one open movie: frames, cuts, brightness
``contact_sheet`` a PNG with one sample per row
``report_data``   what an HTML report shows, as data
``html_report``   the report as one self-contained page
``charts``        its charts, as SVG
"""

from .contact_sheet import contact_sheet
from .forecast import forecast
from .html_report import html_report
from .reproduce import reproduce
from .split import audit, split

__all__ = ["audit", "contact_sheet", "forecast", "html_report", "reproduce", "split"]
