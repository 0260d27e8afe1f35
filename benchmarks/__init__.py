"""How fast Towline is, against what, measured in one run on one machine."""
