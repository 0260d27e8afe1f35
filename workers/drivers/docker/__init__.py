"""The Docker driver: containers on a Docker engine, behind `workers.drivers.protocol`."""
