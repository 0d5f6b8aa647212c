"""The engine: what a network of layers becomes, and the two backends that run it.

Read in this order: `graph` (layers fused into nodes), `ops` (kinds of nodes), `layout` and
`parameters` (one flat buffer), `plan` and `schedule` (the program), `batch` and `interface` (what a
backend gets and does), then `cpu` and `cpu_predict`, or `cuda` and `cuda_predict`. `backends` makes
an engine from a name.
"""
