"""What traces are asked: where the time went, what was unusual, why it failed, what was like it, what differs.

Each question is a module, pure over `tracing.rows.Row`; those that look rows up themselves say so.
"""
