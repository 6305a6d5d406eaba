//! Goal: what is counted is shown with its description and labels. Method: the one recorder of the
//! test process.

use super::*;

#[test]
fn counts_are_rendered_with_labels_and_process_figures() {
    let recorder = Metrics::install("gw-1", "eu").unwrap();
    metrics::describe_counter!("meridian_reads_total", "Reads answered.");
    metrics::counter!("meridian_reads_total", "served_by" => "local").increment(3);
    metrics::histogram!("meridian_read_seconds").record(0.002);
    let text = recorder.render();
    for wanted in [
        "# HELP meridian_reads_total Reads answered.",
        "meridian_reads_total{node=\"gw-1\",region=\"eu\",served_by=\"local\"} 3",
        "meridian_read_seconds_bucket{node=\"gw-1\",region=\"eu\",le=\"0.0025\"} 1",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "process_open_fds ",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(Metrics::install("gw-2", "eu").is_err());
}
