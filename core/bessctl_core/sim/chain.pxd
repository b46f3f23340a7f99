from bessctl_core.sim.types cimport Image, SimPlant

cdef void image_build(Image* im, dict cfg, list models)
cdef void image_settings(SimPlant* p)
