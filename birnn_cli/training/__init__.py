"""Learning, with torch: a run, its steps, batches, optimizers, device and processes."""
