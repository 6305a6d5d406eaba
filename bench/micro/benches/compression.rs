//! The log's codecs side by side: ratio and speed, by the size of a batch and the kind of values.

fn main() -> anyhow::Result<()> {
    meridian_bench_micro::compression::main()
}
