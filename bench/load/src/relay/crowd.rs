//! To come.
pub(super) async fn measure(_: &mut super::stage::Stage, _: &mut crate::report::Report) -> anyhow::Result<()> { Ok(()) }
