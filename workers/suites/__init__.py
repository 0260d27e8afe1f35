"""Example suites: jobs as data files with what must be seen of them, and the code that runs and checks them."""
