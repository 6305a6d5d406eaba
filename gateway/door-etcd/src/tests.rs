//! Goal: over a real socket, a stock client sees etcd. Method: an embedded home, an engine and this
//! door in one process; tonic as the gRPC client, bare sockets for what tonic would not send.

mod json;
mod kv;
mod raw;
mod streams;
mod tls;
mod world;
