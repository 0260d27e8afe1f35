"""The whole platform on one machine, for `manage.py up` and `demo`: Redis, the processes, and who keeps them running."""
