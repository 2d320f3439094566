"""Which expression class a spotted movement is consistent with: MMNet on ONNX Runtime."""
