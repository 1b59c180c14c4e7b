"""Observers: measurements that a run adds to its report beside the algorithm; `run.request` lists them."""
