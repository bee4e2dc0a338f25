"""The engine's own Python environment: finding an interpreter, downloading, installing, testing, repairing, removing.

Standard library only, no bpy. Two sides: `installation` lives in the host and never blocks; `worker` is a process of its own,
run by the interpreter that the engine is to have. `place` knows where things lie and what counts as installed.
"""
