"""Speed, scale and quality, each as a table on the terminal and the same rows in benchmarks/results/NAME.json."""
