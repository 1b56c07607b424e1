"""Code cells of five PyTorch tutorials, and of the functions that their text names."""
