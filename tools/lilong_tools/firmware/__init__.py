"""The firmware as bytecode for each kind of processor, and what it takes of the flash.

`source` finds the modules, `cross` compiles one, `bundle` writes the folder, `sizes` counts,
`table` shows.
"""
