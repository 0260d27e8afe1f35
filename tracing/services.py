"""Who does what in a trace. A span's `service` is one of these, or what a container calls itself."""

WEB = "web"  # requests
COMMAND = "command"  # manage.py
JOB = "job"  # the life of a job, of its waiting and its attempts, whoever has it
CONTROL = "control"  # placing, and handing over
WORKER = "worker"  # the run of an attempt: claim, follow, judge, finish
ENGINE = "engine"  # what Docker, Kubernetes or the host is asked for
CONTAINER = "container"  # the program itself; spans that it sends without a name of their own
SERVICES = (WEB, COMMAND, JOB, CONTROL, WORKER, ENGINE, CONTAINER)
