//! The same port over TLS.

use std::sync::Arc;

use meridian_etcd_api::etcdserverpb::kv_client::KvClient;
use meridian_runtime::tls;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::world::{World, get, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_is_spoken_over_tls() {
    tls::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    let server = tls::server_config(&cert_file, &key_file, None).unwrap();

    let world = World::start_with(Some(Arc::new(server))).await;
    let trusted = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(cert.pem()))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", world.address)).unwrap();
    let channel = endpoint
        .tls_config(trusted)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut kv = KvClient::new(channel);
    put(&mut kv, "foo", "1").await;
    assert_eq!(kv.range(get("foo")).await.unwrap().into_inner().count, 1);
    drop(kv);
    world.stop().await;
}
