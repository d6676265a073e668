# What scripts/install and scripts/wheel compile of llama.cpp: what the host loads, and nothing else.
# llama-cpp-python's CMakeLists.txt includes this at its project().

# A variable set here wins over the cache's of the same name, which llama-cpp-python forces (CMP0126).
set(LLAMA_BUILD_COMMON OFF) # llama-common and cpp-httplib: half of the work
set(CMAKE_PLATFORM_NO_VERSIONED_SONAME ON) # a wheel has no links: each library would be there thrice
set(CMAKE_INSTALL_RPATH "$ORIGIN")
if(GGML_BACKEND_DL)
    set(CMAKE_INSTALL_BINDIR llama_cpp/lib) # backends of their own belong beside the other libraries
endif()

# An older gcc leaves out what its own intrinsics need (amx.h).
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14 AND
        (LLAMA_BUILD OR NOT DEFINED LLAMA_BUILD))
    set(AMX_INTRINSICS ${CMAKE_CURRENT_LIST_DIR}/amx.h)
    cmake_language(DEFER CALL set_source_files_properties # of a directory that is yet to come
        ${CMAKE_CURRENT_SOURCE_DIR}/vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp
        DIRECTORY vendor/llama.cpp/ggml/src
        PROPERTIES COMPILE_OPTIONS "-include;${AMX_INTRINSICS}")
endif()

# Where a processor computes with numbers of 16 bits (AVX512-FP16), llama.cpp goes through attention
# 128 numbers at a time, and what is left of a head one by one: heads of 64, as small models have
# them, take three times as long as without. Those of 128 take a quarter longer without.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-U__AVX512FP16__>)
endif()

# Flags that make llama.cpp faster on this machine go here, as set(GGML_... ON).
