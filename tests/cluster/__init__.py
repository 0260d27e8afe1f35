"""An emulated Kubernetes cluster for tests: `python -m tests.cluster --kubeconfig FILE`.

An API server (`store`, `api`, `watches`, `reading`), a scheduler, one node with a kubelet (`kubelet`, `worker`) and a container
runtime that runs real processes (`containers`, `spawn`), and a switchboard of faults. What it says was compared with the
recordings of a real cluster in `recordings/`. It imitates what Towline asks for, and is no Kubernetes.
"""
