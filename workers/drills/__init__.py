"""Drills: one fault on the operator's own installation, told before, and what must hold asserted from the outside.

Each runs jobs of its own, with a label, beside whatever else runs. What a drill did is undone when it ends, however that is.
"""
