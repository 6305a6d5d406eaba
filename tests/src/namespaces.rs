//! Two network namespaces with a cable between them, whose byte counters are the kernel's own.
//!
//! Made with `ip`, where the machine allows it; what is made here, and nothing else, is removed again. No
//! delay and no loss: this kernel has no netem, weather is for [`crate::wan`].

use std::{
    fs::File,
    future::Future,
    net::Ipv4Addr,
    ops::Sub,
    os::fd::AsFd,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What one end of the cable has carried since it was laid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes sent by this end, headers of Ethernet, IP and UDP included.
    pub sent_bytes: u64,
    /// Packets sent by this end.
    pub sent_packets: u64,
    /// Bytes received by this end.
    pub received_bytes: u64,
    /// Packets received by this end.
    pub received_packets: u64,
}

impl Sub for Carried {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            sent_bytes: self.sent_bytes - earlier.sent_bytes,
            sent_packets: self.sent_packets - earlier.sent_packets,
            received_bytes: self.received_bytes - earlier.received_bytes,
            received_packets: self.received_packets - earlier.received_packets,
        }
    }
}

/// One end: a namespace of its own.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    interface: String,
    /// Its address on the cable.
    pub address: Ipv4Addr,
}

/// Two namespaces and the cable between them.
#[derive(Debug)]
pub struct Cable {
    /// One end.
    pub near: Namespace,
    /// The other.
    pub far: Namespace,
}

impl Cable {
    /// Lays a cable; `None`, with a line that says why, where this is not permitted.
    ///
    /// # Errors
    /// When it is permitted and fails nevertheless.
    pub fn lay() -> Result<Option<Self>> {
        static TURN: AtomicU16 = AtomicU16::new(0);
        let name = format!(
            "mrd-{}-{}",
            std::process::id(),
            TURN.fetch_add(1, Ordering::Relaxed)
        );
        let cable = Self {
            near: Namespace::named(&name, "a", Ipv4Addr::new(10, 203, 0, 1)),
            far: Namespace::named(&name, "b", Ipv4Addr::new(10, 203, 0, 2)),
        };
        if let Err(refusal) = ip(&["netns", "add", &cable.near.name]) {
            println!("SKIPPED: network namespaces are not permitted here: {refusal:#}");
            return Ok(None);
        }
        cable.connect()?;
        Ok(Some(cable))
    }

    fn connect(&self) -> Result<()> {
        let (near, far) = (&self.near, &self.far);
        ip(&["netns", "add", &far.name])?;
        // Made inside a namespace, so that the machine's own network never sees it.
        let cable = [
            "link",
            "add",
            &near.interface,
            "type",
            "veth",
            "peer",
            "name",
        ];
        let far_end = [far.interface.as_str(), "netns", &far.name];
        near.ip(&[cable.as_slice(), &far_end].concat())?;
        for end in [near, far] {
            let address = format!("{}/30", end.address);
            end.ip(&["address", "add", &address, "dev", &end.interface])?;
            end.ip(&["link", "set", &end.interface, "up"])?;
            end.ip(&["link", "set", "lo", "up"])?;
        }
        Ok(())
    }
}

impl Namespace {
    fn named(cable: &str, end: &str, address: Ipv4Addr) -> Self {
        Self {
            name: format!("{cable}{end}"),
            // Names of interfaces are short, and each namespace has its own.
            interface: format!("cable-{end}"),
            address,
        }
    }

    /// Runs `work` on a thread of its own in here: its sockets are here, and so is what it starts.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or `work` fails.
    pub async fn inside<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let name = self.name.clone();
        let (done, result) = tokio::sync::oneshot::channel();
        let thread = thread::Builder::new().name(name.clone());
        thread.spawn(move || {
            // Who waits may have given up.
            drop(done.send(enter(&name).and_then(|runtime| runtime.block_on(work()))));
        })?;
        result
            .await
            .context("the thread in the namespace has ended")?
    }

    fn ip(&self, words: &[&str]) -> Result<String> {
        ip(&[["-n", &self.name].as_slice(), words].concat())
    }

    /// What its end of the cable has carried.
    ///
    /// # Errors
    /// When `ip` does not tell.
    pub fn carried(&self) -> Result<Carried> {
        let told = self.ip(&["-s", "-j", "link", "show", "dev", &self.interface])?;
        let told: serde_json::Value = serde_json::from_str(&told).context("JSON of ip")?;
        let number = |way: &str, what: &str| {
            let pointer = format!("/0/stats64/{way}/{what}");
            told.pointer(&pointer)
                .and_then(serde_json::Value::as_u64)
                .with_context(|| format!("{pointer} of {told}"))
        };
        Ok(Carried {
            sent_bytes: number("tx", "bytes")?,
            sent_packets: number("tx", "packets")?,
            received_bytes: number("rx", "bytes")?,
            received_packets: number("rx", "packets")?,
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may never have been made; the cable goes with its ends.
        drop(ip(&["netns", "del", &self.name]));
    }
}

/// Moves this thread into a namespace; the runtime is for it alone.
fn enter(name: &str) -> Result<tokio::runtime::Runtime> {
    let file = File::open(Path::new("/run/netns").join(name)).context("open the namespace")?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .context("enter the namespace")?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().context("start a runtime")
}

fn ip(words: &[&str]) -> Result<String> {
    let out = Command::new("ip").args(words).output().context("run ip")?;
    let complaint = String::from_utf8_lossy(&out.stderr);
    ensure!(
        out.status.success(),
        "`ip {}`: {}",
        words.join(" "),
        complaint.trim()
    );
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests;
