"""What the functions of WASI preview 1 share: errnos, flags and layouts."""
