"""Tool server fleets under load: ``benchmarks/simulated_fleet.py`` and ``benchmarks/killed_servers.py``."""
