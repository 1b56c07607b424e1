"""PyTorch's own operator database (OpInfo) run against Treadle; PyTorch is the oracle."""
