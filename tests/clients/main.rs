//! Real clients against a gateway: etcdctl of every installed release, and Python's `etcd3`.
//!
//! Method: each script is what a person would type, each answer what they would see from etcd.
#![allow(clippy::print_stdout, reason = "a test tells what it saw")]

mod etcdctl;
mod python;
mod script;
