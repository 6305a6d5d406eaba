//! What `/status.json` says of a link, as far as tests look at it.

use anyhow::{Context, Result};
use serde_json::Value;

/// The part `link` of a status.
#[derive(Clone, Debug)]
pub struct LinkStatus(Value);

impl LinkStatus {
    pub(super) fn of(status: &Value) -> Result<Self> {
        let link = status.get("link").filter(|link| !link.is_null());
        let link = link.with_context(|| format!("no `link` in {status}"))?;
        Ok(Self(link.clone()))
    }

    /// What stands at a path such as `snapshot/keys_done`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Value> {
        let found = self.0.pointer(&format!("/{path}"));
        found.filter(|value| !value.is_null())
    }

    fn text(&self, path: &str) -> Result<&str> {
        let text = self.at(path).and_then(Value::as_str);
        text.with_context(|| format!("no text at {path} of {}", self.0))
    }

    /// `hub`, `delegate` or `member`.
    ///
    /// # Errors
    /// When it is not said.
    pub fn role(&self) -> Result<&str> {
        self.text("role")
    }

    /// Whence the log comes: `hub`, `delegate`, `none`; of a hub, `home`.
    ///
    /// # Errors
    /// When it is not said.
    pub fn source(&self) -> Result<&str> {
        self.text("source")
    }

    /// `region/name` of the hub it is linked to.
    ///
    /// # Errors
    /// When there is none.
    pub fn hub(&self) -> Result<&str> {
        self.text("hub")
    }

    /// `region/name` of the delegate of its region.
    ///
    /// # Errors
    /// When there is none.
    pub fn delegate(&self) -> Result<&str> {
        self.text("delegate")
    }

    /// Keys of the snapshot that is coming in, so far and in all; `None` while none is.
    #[must_use]
    pub fn snapshot(&self) -> Option<(u64, u64)> {
        let number = |path| self.at(path).and_then(Value::as_u64);
        Some((
            number("snapshot/keys_done")?,
            number("snapshot/keys_total")?,
        ))
    }
}

impl std::fmt::Display for LinkStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
