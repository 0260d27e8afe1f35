"""The process runtime: a job is a real child process that outlives its worker, with its output in files.

For trying out and for fast tests, where there is no Docker engine; off in production. It looks like a container from
outside (a name, one start, output and exit code kept, everything in it dies with its main process, a memory limit), but
it isolates nothing: no image, no network or file system of its own, no cpu limit. The command is the machine's own.

A job is a folder (`folder`), run by a shim of its own (`shim`, `guard`, `supervisor`) that needs no worker. What the
shim imports is standard library only, and little of it: it starts in some 50 ms and holds some ten megabytes.

A worker's end does not end its jobs. What ends a whole cgroup does: the end of a container around the worker, systemd's
`KillMode=control-group`.
"""
