"""What the kernels of all families stand on: compilation, lanes, threads, checks, CUDA."""
