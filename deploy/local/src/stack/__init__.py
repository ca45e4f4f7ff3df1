"""Patron on one machine: real PostgreSQL, real Kafka, the services; for `make run` and for the tests."""

from stack.fleet import SERVICES, Fleet, Service, keys_of, services
from stack.process import Process
from stack.servers import Backing, backing
from stack.trouble import Trouble

__all__ = ["SERVICES", "Backing", "Fleet", "Process", "Service", "Trouble", "backing", "keys_of", "services"]
