//! Turns `proto/` into Rust: messages and clients by prost and tonic, their JSON form by pbjson.
//! The protos are parsed by protox, so no `protoc` is needed.
use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 5] = [
    "mvccpb.proto",
    "authpb.proto",
    "etcdserverpb.proto",
    "v3lockpb.proto",
    "v3electionpb.proto",
];
const PACKAGES: [&str; 5] = [
    ".mvccpb",
    ".authpb",
    ".etcdserverpb",
    ".v3lockpb",
    ".v3electionpb",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let descriptors = protox::compile(FILES, ["proto"])?;
    let encoded = descriptors.encode_to_vec();
    // The tests hold the hand-written tables against it.
    fs::write(out.join("descriptors.bin"), &encoded)?;

    tonic_prost_build::configure()
        .build_client(true)
        .build_server(false)
        .bytes(".")
        .compile_fds(descriptors)?;

    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .preserve_proto_field_names()
        .ignore_unknown_fields()
        .out_dir(out)
        .build(&PACKAGES)?;
    Ok(())
}
