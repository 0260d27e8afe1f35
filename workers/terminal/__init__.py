"""Workers and suites in a terminal."""
