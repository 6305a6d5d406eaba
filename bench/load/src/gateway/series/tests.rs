//! Goal: best is the least disturbed round, median the middle one.

use super::*;

fn series(cpu: &[f64]) -> Series {
    let sample = |cpu_us: &f64| Sample {
        ops: 1,
        ops_per_second: 1.0,
        latency: Latency::default(),
        failed: 1,
        cpu_us: *cpu_us,
        home_cpu_us: 0.0,
        generator_cpu_us: 0.0,
        memory: Memory::default(),
    };
    Series {
        metric: "get".to_owned(),
        target: "etcd",
        samples: cpu.iter().map(sample).collect(),
    }
}

#[test]
fn best_is_the_least_and_median_the_middle() {
    let series = series(&[9.0, 3.0, 5.0]);
    assert_eq!(series.best(|sample| sample.cpu_us), Some(3.0));
    assert_eq!(series.median(|sample| sample.cpu_us), Some(5.0));
}

#[test]
fn a_target_without_rounds_has_no_number() {
    assert_eq!(best_cpu(&[series(&[])], "etcd"), None);
    assert_eq!(best_cpu(&[series(&[1.0])], "gateway"), None);
}
