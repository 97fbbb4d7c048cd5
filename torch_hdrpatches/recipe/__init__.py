"""What a user writes down: settings, checked, from and to TOML.

``settings`` every section and setting, with its meaning and limits
``recipe``   a recipe: loaded, checked, its globs and names resolved
``sources``  the languages that a recipe may be written in, as dicts and lists
``messages`` what is wrong with a recipe, one line for each mistake
``toml``     a recipe as a TOML file
``convert``  recipes from the old generator's JSON
``starter``  a commented first recipe from files or folders
"""

from .recipe import Recipe

__all__ = ["Recipe"]
