"""Drivers: the only code that speaks to a runtime.

A driver imports no Django, no Celery and no other driver, and keeps no state: everything it needs to find a
container again is in the handle. `protocol` says what a driver must do, `registry` makes one by name.
"""
