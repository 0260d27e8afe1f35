"""What people ask of traces, of jobs and with jobs' knowledge: who may see what, which runs are alike, what changed."""
