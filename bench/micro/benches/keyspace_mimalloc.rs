//! Keyspace structures side by side, with the allocator that is shipped; see the library.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    meridian_bench_micro::runner::main("mimalloc")
}
