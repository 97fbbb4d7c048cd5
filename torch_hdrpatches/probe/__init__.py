"""What a movie is, and whether it can be used.

``probe``       looks into a movie and opens it
``scan``        the first frame, the last one, and the picture area inside black bars
``metadata``    colour tags, HDR10 and Dolby Vision metadata of a frame
``facts_cache`` facts of movies that were probed before, on disk
``verdict``     usable, usable with assumptions, or refused, with the reason
"""

from .facts_cache import known_facts
from .probe import open_movie, probe

__all__ = ["known_facts", "open_movie", "probe"]
