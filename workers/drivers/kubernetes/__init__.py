"""The Kubernetes driver: jobs as bare pods of a cluster.

`manifest` builds what is asked for and `observe`, `judge` and `holdup` read what is answered: all pure. `watch` keeps one
watch per namespace for all pods, `logs` reads output, `driver` puts them together. The official client is imported only
when somebody asks.
"""
