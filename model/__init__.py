"""Training of MMNet in PyTorch, and its export to ONNX. Needs the `train` extra."""
