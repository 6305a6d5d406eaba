//! Keyspace structures side by side, with the system's allocator; see the library.

fn main() -> anyhow::Result<()> {
    meridian_bench_micro::runner::main("system allocator")
}
