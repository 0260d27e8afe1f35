"""Traces in the admin: a trace's page (`page`), the list of spans (`span`) and how the store fares (`health`).

What is drawn is decided by pure modules: `axis` (time), `tree` (lines), `drawing` (their HTML), `lanes` (log and usage).
"""
