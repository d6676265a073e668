;; Completes the text of its first argument with the model preloaded as "default".
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_ephemeral_nn" "load_by_name_with_config"
    (func $load (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context"
    (func $init (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set_input (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "get_output"
    (func $get_output (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)

  (data (i32.const 0x100) "default")
  (data (i32.const 0x200) "{\"ctx-size\": 512, \"n-predict\": 24, \"temp\": 0}")
  (global $graph i32 (i32.const 0x00))
  (global $context i32 (i32.const 0x04))
  (global $written i32 (i32.const 0x08))
  (global $vector i32 (i32.const 0x10))
  (global $argv i32 (i32.const 0x300))
  (global $tensor i32 (i32.const 0x40))
  (global $output i32 (i32.const 0x10000))

  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $exit (local.get $errno)))))

  (func $length (param $text i32) (result i32) (local $end i32)
    (local.set $end (local.get $text))
    (loop $next
      (if (i32.load8_u (local.get $end))
        (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $next))))
    (i32.sub (local.get $end) (local.get $text)))

  (func (export "_start") (local $prompt i32)
    (call $check (call $args_get (global.get $argv) (i32.const 0x1000)))
    (local.set $prompt (i32.load offset=4 (global.get $argv)))
    (call $check (call $load (i32.const 0x100) (i32.const 7) (i32.const 0x200) (i32.const 45)
      (global.get $graph)))
    (call $check (call $init (i32.load (global.get $graph)) (global.get $context)))
    ;; a tensor: dimensions, their number, type U8, data, bytes
    (i32.store offset=4 (global.get $tensor) (i32.const 0))
    (i32.store offset=8 (global.get $tensor) (i32.const 3))
    (i32.store offset=12 (global.get $tensor) (local.get $prompt))
    (i32.store offset=16 (global.get $tensor) (call $length (local.get $prompt)))
    (call $check (call $set_input (i32.load (global.get $context)) (i32.const 0)
      (global.get $tensor)))
    (call $check (call $compute (i32.load (global.get $context))))
    (call $check (call $get_output (i32.load (global.get $context)) (i32.const 0)
      (global.get $output) (i32.const 0x10000) (global.get $written)))
    (i32.store (global.get $vector) (global.get $output))
    (i32.store offset=4 (global.get $vector) (i32.load (global.get $written)))
    (call $check (call $fd_write (i32.const 1) (global.get $vector) (i32.const 1)
      (global.get $written)))))
