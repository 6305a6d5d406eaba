//! The servers of a comparison, as processes on free loopback ports in a temporary folder.
//!
//! A process lives as long as its value: dropped on return, error, panic or Ctrl-C it is killed by its id and reaped.
//! Each start waits, with a deadline, until the server answers.

pub mod cluster;
pub mod http;
pub mod process;
pub mod servers;

use std::{
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
};

use anyhow::Context;

/// Different loopback ports nobody listens on now.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut ports = [0; N];
    // Held until all are known, so that no two are the same.
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Where binaries are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `etcd`.
    pub etcd: PathBuf,
    /// `etcdctl`, if it is beside it or on PATH.
    pub etcdctl: PathBuf,
    /// `meridian`.
    pub meridian: PathBuf,
    /// This benchmark itself, for its echo.
    pub bench: PathBuf,
}

impl Binaries {
    /// The ones given, else the newest etcd known here and the `meridian` beside this executable.
    pub fn find(etcd: Option<PathBuf>, meridian: Option<PathBuf>) -> anyhow::Result<Self> {
        let bench = std::env::current_exe().context("find this executable")?;
        let etcd = match etcd {
            Some(given) => given,
            None => newest_etcd()?,
        };
        let etcdctl = match etcd.with_file_name("etcdctl") {
            beside if beside.is_file() => beside,
            _ => on_path("etcdctl").unwrap_or_else(|| "etcdctl".into()),
        };
        let meridian = meridian.unwrap_or_else(|| bench.with_file_name("meridian"));
        Ok(Self {
            etcd,
            etcdctl,
            meridian,
            bench,
        })
    }
}

fn newest_etcd() -> anyhow::Result<PathBuf> {
    let installed =
        [".meridian/tools/etcd-3.6.16/etcd", "/opt/etcd/v3.6.16/etcd"].map(PathBuf::from);
    let found = installed
        .into_iter()
        .find(|path| path.is_file())
        .or_else(|| on_path("etcd"));
    found.context("no etcd found: run `cargo xtask setup`, or name one with --etcd-bin")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
