"""What the functions of WASI preview 1 share: errnos, flags and layouts.

Every one of them answers FAULT for a pointer that is not inside the guest's memory.
"""
