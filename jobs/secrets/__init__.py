"""Secrets: encrypted in the database, named in a spec, given to a job's environment, and masked in what it writes."""
