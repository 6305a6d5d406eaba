//! Goal: only the series asked for are summed.

use super::*;

const PAGE: &str = "# HELP calls_total calls
calls_total{code=\"OK\",method=\"Range\"} 3
calls_total{code=\"Unavailable\",method=\"Range\"} 2
calls_total{code=\"OK\",method=\"Put\"} 7
calls_total_more{method=\"Range\"} 100
plain 4
";

#[test]
fn a_counter_is_the_sum_of_the_series_with_the_labels() {
    assert_eq!(counter(PAGE, "calls_total", &["method=\"Range\""]), 5.0);
    assert_eq!(counter(PAGE, "plain", &[]), 4.0);
    assert_eq!(counter(PAGE, "absent", &[]), 0.0);
}
