"""The verbs of what is happening. The only place that changes its state; API, console, tasks and commands all call here."""
