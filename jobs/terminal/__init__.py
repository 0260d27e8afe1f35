"""What the commands have in common: their base, tables and pages, following a log, finding a job by part of its id."""
