"""The engine: turns a network of layers into a program, and the two backends that run it.

Reading order: `graph` (layers fused into nodes), `ops` (kinds of nodes), `layout` and `parameters`
(one flat buffer), `plan` and `schedule` (the program), `batch` and `interface` (the arguments and
methods of a backend), then `cpu` and `cpu_predict`, or `cuda` and `cuda_predict`. `backends`
creates an engine by name.
"""
