"""Figures over a stretch of time, of the jobs that somebody may see: for REST, the command and the admin's page.

`window` is the stretch, `figures` all of them together, `ends`, `durations` and `output` what they are made of.
"""
