"""The network: what it is (architecture), in torch (birnn), in NumPy (forward), on disk (checkpoint)."""
