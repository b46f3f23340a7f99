"""`bessctl demo`: the product's main job, played once from a clean state, with every part real but the plant.

`stage` starts and ends the processes, `story` is the play, `watch` looks at the plant, `show` prints, `summary` adds up.
"""
