"""The properties of a movie, and whether it can be used.

``movie_facts`` reads the facts of a movie and opens it
``facts_cache`` facts of movies that were probed before, kept on disk
``metadata``    colour tags, HDR10, HDR10+ and Dolby Vision metadata of a frame
``scan``        the first frame, the end of the movie, and the area inside black bars
``verdict``     usable, usable with assumed colour tags, or refused with the reason
"""

from .facts_cache import known_facts
from .movie_facts import open_movie, probe

__all__ = ["known_facts", "open_movie", "probe"]
