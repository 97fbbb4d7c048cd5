"""How fast it is, measured beside the limit and beside what else there is: ``make bench``."""
