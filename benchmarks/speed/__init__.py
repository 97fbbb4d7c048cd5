"""Speed of reading and exporting, beside bare decoding and beside other libraries: ``make bench``."""
