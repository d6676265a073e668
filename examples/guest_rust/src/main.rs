//! A guest of one's own in Rust: completes the text of its arguments with the model preloaded as
//! "default", token by token. examples/README.md says how to build and run it.

use std::io::Write;

const CONFIG: &str = r#"{"ctx-size": 512, "temp": 0}"#;
const MOST: u32 = 24; // tokens; the metadata's n-predict is for compute, not for compute_single
const U8: u32 = 3; // the type of a tensor of bytes
const END_OF_SEQUENCE: u32 = 100; // WasmEdge's errnos past the standard's
const CONTEXT_FULL: u32 = 101;

/// What set_input reads.
#[repr(C)]
struct Tensor {
    dimensions: *const u32,
    dimension_count: usize,
    kind: u32,
    data: *const u8,
    size: usize,
}

#[link(wasm_import_module = "wasi_ephemeral_nn")]
extern "C" {
    fn load_by_name_with_config(
        name: *const u8,
        name_len: usize,
        config: *const u8,
        config_len: usize,
        graph: *mut u32,
    ) -> u32;
    fn init_execution_context(graph: u32, context: *mut u32) -> u32;
    fn set_input(context: u32, index: u32, tensor: *const Tensor) -> u32;
    fn compute_single(context: u32) -> u32;
    fn get_output_single(
        context: u32,
        index: u32,
        buffer: *mut u8,
        size: usize,
        written: *mut u32,
    ) -> u32;
    fn fini_single(context: u32) -> u32;
}

fn check(call: &str, errno: u32) {
    if errno != 0 {
        eprintln!("{call}: errno {errno}");
        std::process::exit(1);
    }
}

fn main() {
    let prompt = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    if prompt.is_empty() {
        eprintln!("usage: guest TEXT");
        std::process::exit(2);
    }
    let (name, mut graph, mut context) = ("default", 0, 0);
    let input = Tensor {
        dimensions: std::ptr::null(),
        dimension_count: 0,
        kind: U8,
        data: prompt.as_ptr(),
        size: prompt.len(),
    };
    let mut piece = [0u8; 256];
    unsafe {
        let loaded = load_by_name_with_config(
            name.as_ptr(),
            name.len(),
            CONFIG.as_ptr(),
            CONFIG.len(),
            &mut graph,
        );
        check("load", loaded);
        check("init_execution_context", init_execution_context(graph, &mut context));
        check("set_input", set_input(context, 0, &input));
        for _ in 0..MOST {
            let errno = compute_single(context);
            if errno == END_OF_SEQUENCE || errno == CONTEXT_FULL {
                break;
            }
            check("compute_single", errno);
            let mut written = 0;
            let got = get_output_single(context, 0, piece.as_mut_ptr(), piece.len(), &mut written);
            check("get_output_single", got);
            let _ = std::io::stdout().write_all(&piece[..written as usize]);
        }
        check("fini_single", fini_single(context));
    }
}
