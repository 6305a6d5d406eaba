//! What a test says about an answer; a refusal names the thing, what came and what should have.

use std::fmt::Debug;

use anyhow::{Context, Result, bail, ensure};
use meridian_etcd_api::etcdserverpb::ResponseHeader;
use tonic::{Code, Status};

/// `got` is `want`.
///
/// # Errors
/// When it is not.
pub fn same<G: PartialEq<W> + Debug, W: Debug>(what: &str, got: G, want: W) -> Result<()> {
    ensure!(got == want, "{what}: got {got:?}, want {want:?}");
    Ok(())
}

/// The call was refused with this code and this text, to the letter.
///
/// # Errors
/// When it succeeded or was refused otherwise.
pub fn refused<T: Debug>(answer: Result<T, Status>, code: Code, text: &str) -> Result<()> {
    refused_with(answer, code, |message| message == text)
        .with_context(|| format!("want {code:?} {text:?}"))
}

/// The call was refused with this code and a text that fits.
///
/// # Errors
/// When it succeeded or was refused otherwise.
pub fn refused_with<T: Debug>(
    answer: Result<T, Status>,
    code: Code,
    fits: impl Fn(&str) -> bool,
) -> Result<()> {
    match answer {
        Ok(answer) => {
            let mut shown = format!("{answer:?}");
            shown.truncate(300);
            bail!("answered {shown}")
        }
        Err(status) => {
            let fitting = status.code() == code && fits(status.message());
            ensure!(
                fitting,
                "refused with {:?} {:?}",
                status.code(),
                status.message()
            );
            Ok(())
        }
    }
}

/// The header that every answer carries.
///
/// # Errors
/// When it is missing.
pub fn header(header: Option<&ResponseHeader>) -> Result<&ResponseHeader> {
    header.context("the answer has no header")
}

/// The revision in the header.
///
/// # Errors
/// When there is no header.
pub fn revision(of: Option<&ResponseHeader>) -> Result<i64> {
    Ok(header(of)?.revision)
}
