"""How `benchmarks.simulator` measures: the work, the processes, the machine's limits, the report."""
