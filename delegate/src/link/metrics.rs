//! What the transport counts. No label is an address or a name.

use metrics::{counter, describe_counter};

const OPENED: &str = "meridian_links_opened_total";
const CLOSED: &str = "meridian_links_closed_total";
const REFUSED: &str = "meridian_links_refused_total";
const DIALS_FAILED: &str = "meridian_link_dials_failed_total";

/// Describes every metric of the transport to the recorder.
pub fn describe() {
    describe_counter!(OPENED, "Links that were made, either way");
    describe_counter!(CLOSED, "Links that were made and have ended");
    describe_counter!(REFUSED, "Handshakes that ended without a link, by reason");
    describe_counter!(DIALS_FAILED, "Links that could not be made from here");
}

/// Counts a link as open for as long as it lives.
pub(super) struct OpenLink(());

impl OpenLink {
    pub(super) fn opened() -> Self {
        counter!(OPENED).increment(1);
        Self(())
    }
}

impl Drop for OpenLink {
    fn drop(&mut self) {
        counter!(CLOSED).increment(1);
    }
}

/// A handshake came to nothing.
pub(super) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

/// We could not make a link.
pub(super) fn dial_failed() {
    counter!(DIALS_FAILED).increment(1);
}
