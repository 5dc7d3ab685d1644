"""Speed and correctness of plkit beside other ways to do the same work; ``python tests/benchmarks/run.py``."""
