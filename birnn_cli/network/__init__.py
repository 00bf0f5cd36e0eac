"""The network: its sizes (`architecture`), its input (`rows`), and its computation, twice.

`torch_engine` trains; `numpy_engine` computes the same logits without torch.
"""
