"""The network as files that work without birnn: an ONNX model and a web page."""
