"""The stored log of an attempt: `records` (its form), `store` (writing), `reader` (by line number), `feed` (following live).

A reader's only cursor is the line number. The exact bytes in stored order are the log; lines are how it is shown.
"""
