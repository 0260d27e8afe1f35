"""Celery's way to Redis, and what Celery and Kombu 5.7 lack for a platform whose messages are hints. See ADR 8."""
