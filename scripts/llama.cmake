# What scripts/install and scripts/wheel compile of llama.cpp: what the host loads, and nothing else.
# llama-cpp-python's CMakeLists.txt includes this at its project().

# A variable set here wins over the cache's of the same name, which llama-cpp-python forces (CMP0126).
set(LLAMA_BUILD_COMMON OFF) # llama-common and cpp-httplib: half of the work
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON) # a wheel has no links: each library would be there thrice
set(CMAKE_INSTALL_RPATH "$ORIGIN")
if(GGML_BACKEND_DL)
    set(CMAKE_INSTALL_BINDIR llama_cpp/lib) # backends of their own belong beside the other libraries
endif()

# Flags that make llama.cpp faster on this machine go here, as set(GGML_... ON).
