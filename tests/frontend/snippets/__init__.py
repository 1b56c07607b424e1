"""Single lines of code, one a line in a file for each subject, compared with PyTorch."""
