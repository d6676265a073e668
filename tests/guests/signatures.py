"""The imports of WASI preview 1 and WasmEdge's sockets: names and parameter letters."""

SOCKETS_V1 = {
    "sock_open": "iii",
    "sock_bind": "iii",
    "sock_listen": "ii",
    "sock_accept": "ii",
    "sock_connect": "iii",
    "sock_recv": "iiiiii",
    "sock_recv_from": "iiiiiii",
    "sock_send": "iiiii",
    "sock_send_to": "iiiiiii",
    "sock_getlocaladdr": "iiii",
    "sock_getpeeraddr": "iiii",
    "sock_shutdown": "ii",
    "sock_getsockopt": "iiiii",
    "sock_setsockopt": "iiiii",
    "sock_getaddrinfo": "iiiiiiii",
}

SOCKETS_V2 = {
    "sock_accept": "iii",
    "sock_recv_from": "iiiiiiii",
    "sock_getlocaladdr": "iii",
    "sock_getpeeraddr": "iii",
}
"""Where V2's type differs."""

NAMED_V2 = {
    f"{name}_v2": (SOCKETS_V1 | SOCKETS_V2)[name]
    for name in (
        "sock_open",
        "sock_bind",
        "sock_listen",
        "sock_accept",
        "sock_connect",
        "sock_recv",
        "sock_recv_from",
        "sock_send",
        "sock_send_to",
        "sock_getlocaladdr",
        "sock_getpeeraddr",
    )
}

DESCRIPTORS = {
    "fd_advise": "iIIi",
    "fd_allocate": "iII",
    "fd_close": "i",
    "fd_datasync": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_fdstat_set_rights": "iII",
    "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_filestat_set_times": "iIIi",
    "fd_pread": "iiiIi",
    "fd_prestat_get": "ii",
    "fd_prestat_dir_name": "iii",
    "fd_pwrite": "iiiIi",
    "fd_read": "iiii",
    "fd_readdir": "iiiIi",
    "fd_renumber": "ii",
    "fd_seek": "iIii",
    "fd_sync": "i",
    "fd_tell": "ii",
    "fd_write": "iiii",
}

POLLS = {"poll_oneoff": "iiii", "epoll_oneoff": "iiii"}

PATHS = {
    "path_create_directory": "iii",
    "path_filestat_get": "iiiii",
    "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii",
    "path_open": "iiiiiIIii",
    "path_readlink": "iiiiii",
    "path_remove_directory": "iii",
    "path_rename": "iiiiii",
    "path_symlink": "iiiii",
    "path_unlink_file": "iii",
}

OTHERS = {
    "args_get": "ii",
    "args_sizes_get": "ii",
    "clock_res_get": "ii",
    "clock_time_get": "iIi",
    "environ_get": "ii",
    "environ_sizes_get": "ii",
    "random_get": "ii",
    "sched_yield": "",
}

PREVIEW1 = [
    (name, params)
    for table in (SOCKETS_V1, SOCKETS_V2, NAMED_V2, DESCRIPTORS, POLLS, PATHS, OTHERS)
    for name, params in table.items()
]
