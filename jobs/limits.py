"""How large a setting may be, where the settings and a table have to agree. Pure."""

LONGEST_DAYS = 36_500  # a hundred years: more would leave what a date can say
MOST_BYTES = 2**60
