"""fastsnn: very deep self-normalizing networks on fused kernels, without a framework."""
