//! What a Kubernetes API server writes: 1,000 nodes, 3,000 pods in 150 deployments, one slice of
//! endpoints for each deployment, all as protobuf with the API server's four-byte prefix.
//!
//! Of 100 writes 60 renew a node's lease (one time changes), 27 change a pod's status (times, phase,
//! restarts), 8 change one endpoint of a slice, 3 replace a pod by a new one, 2 delete one for good
//! (it comes back by a later replacement).

use super::{Put, Writer, hex, suffix, uid};

const NODES: usize = 1_000;
const DEPLOYMENTS: usize = 150;
const PODS: usize = 3_000;

/// The cluster.
pub struct Kubernetes {
    random: fastrand::Rng,
    /// Microseconds since 1970.
    now: u64,
    nodes: Vec<Node>,
    deployments: Vec<Deployment>,
    pods: Vec<Pod>,
}

struct Node {
    name: String,
    uid: String,
    renewed: u64,
}

struct Deployment {
    namespace: String,
    app: String,
    image: String,
    hash: String,
    uid: String,
    port: u16,
}

struct Pod {
    deployment: usize,
    node: usize,
    name: String,
    uid: String,
    address: String,
    container: String,
    created: u64,
    changed: u64,
    restarts: u64,
    ready: bool,
}

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn text(mut self, field: u64, text: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(text.as_ref().len() as u64);
        self.0.extend_from_slice(text.as_ref());
        self
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn message(self, field: u64, message: Self) -> Self {
        self.text(field, message.0)
    }

    fn pair(self, field: u64, key: &str, value: &str) -> Self {
        self.message(field, Self::default().text(1, key).text(2, value))
    }

    fn time(self, field: u64, micros: u64) -> Self {
        let seconds = Self::default().number(1, micros / 1_000_000);
        self.message(field, seconds.number(2, 0))
    }
}

fn message() -> Message {
    Message::default()
}

fn stored(version: &str, kind: &str, object: Message) -> Vec<u8> {
    let of = message().text(1, version).text(2, kind);
    let unknown = message().message(1, of).text(2, object.0);
    let unknown = unknown.text(3, "").text(4, "");
    [b"k8s\0", &unknown.0[..]].concat()
}

impl Kubernetes {
    /// A cluster from this seed.
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let nodes = (0..NODES).map(|n| Node {
            name: format!(
                "ip-10-{}-{}-{}.eu-central-1.compute.internal",
                n / 256,
                n % 256,
                random.u8(..)
            ),
            uid: uid(&mut random),
            renewed: 0,
        });
        let nodes = nodes.collect();
        let deployments = (0..DEPLOYMENTS).map(|n| Deployment {
            namespace: format!("team-{}", suffix(&mut random, 4)),
            app: format!(
                "{}-{}",
                ["api", "worker", "web", "cache", "ingest"][n % 5],
                suffix(&mut random, 5)
            ),
            image: format!(
                "registry.example.internal/apps/{}@sha256:{}",
                suffix(&mut random, 8),
                hex(&mut random, 64)
            ),
            hash: suffix(&mut random, 10),
            uid: uid(&mut random),
            port: random.u16(1024..),
        });
        let deployments = deployments.collect();
        let now = 1_790_000_000_000_000;
        let mut new = Self {
            random,
            now,
            nodes,
            deployments,
            pods: Vec::new(),
        };
        for pod in 0..PODS {
            let pod = new.pod(pod % DEPLOYMENTS);
            new.pods.push(pod);
        }
        new
    }

    fn pod(&mut self, deployment: usize) -> Pod {
        let random = &mut self.random;
        let Deployment { app, hash, .. } = &self.deployments[deployment];
        Pod {
            deployment,
            node: random.usize(..NODES),
            name: format!("{app}-{hash}-{}", suffix(random, 5)),
            uid: uid(random),
            address: format!("10.{}.{}.{}", random.u8(64..), random.u8(..), random.u8(..)),
            container: hex(random, 64),
            created: self.now,
            changed: self.now,
            restarts: 0,
            ready: true,
        }
    }

    fn lease(&self, node: usize) -> Put {
        let Node { name, uid, renewed } = &self.nodes[node];
        let owner = message()
            .text(1, "Node")
            .text(3, name)
            .text(4, uid)
            .text(5, "v1");
        let fields = r#"{"f:metadata":{"f:ownerReferences":{".":{},"k:{\"uid\":\"U\"}":{}}},"f:spec":{"f:holderIdentity":{},"f:leaseDurationSeconds":{},"f:renewTime":{}}}"#;
        let managed = message()
            .text(1, "kubelet")
            .text(2, "Update")
            .text(3, "coordination.k8s.io/v1");
        let managed = managed.time(4, *renewed).text(6, "FieldsV1");
        let managed = managed.message(7, message().text(1, fields.replace('U', uid)));
        let meta = message()
            .text(1, name)
            .text(2, "")
            .text(3, "kube-node-lease")
            .text(4, "")
            .text(5, uid);
        let meta = meta.text(6, "").number(7, 0).time(8, 1_780_000_000_000_000);
        let meta = meta.message(13, owner).message(17, managed);
        let renew = message()
            .number(1, renewed / 1_000_000)
            .number(2, renewed % 1_000_000 * 1000);
        let spec = message().text(1, name).number(2, 40).message(4, renew);
        Put {
            key: format!("/registry/leases/kube-node-lease/{name}").into_bytes(),
            value: Some(stored(
                "coordination.k8s.io/v1",
                "Lease",
                message().message(1, meta).message(2, spec),
            )),
            lease: 0,
        }
    }

    fn put_pod(&self, pod: &Pod) -> Put {
        let object = message()
            .message(1, self.pod_meta(pod))
            .message(2, self.pod_spec(pod))
            .message(3, self.pod_status(pod));
        Put {
            key: self.pod_key(pod),
            value: Some(stored("v1", "Pod", object)),
            lease: 0,
        }
    }

    fn pod_key(&self, pod: &Pod) -> Vec<u8> {
        let namespace = &self.deployments[pod.deployment].namespace;
        format!("/registry/pods/{namespace}/{}", pod.name).into_bytes()
    }

    fn pod_meta(&self, pod: &Pod) -> Message {
        let Deployment {
            namespace,
            app,
            hash,
            uid: owner,
            ..
        } = &self.deployments[pod.deployment];
        let set = format!("{app}-{hash}");
        let meta = message()
            .text(1, &pod.name)
            .text(2, format!("{set}-"))
            .text(3, namespace)
            .text(5, &pod.uid);
        let meta = meta.time(8, pod.created);
        let meta = meta
            .pair(11, "app.kubernetes.io/name", app)
            .pair(11, "pod-template-hash", hash);
        let meta =
            meta.pair(12, "prometheus.io/scrape", "true")
                .pair(12, "prometheus.io/port", "9090");
        let owner = message()
            .text(1, "ReplicaSet")
            .text(3, set)
            .text(4, owner)
            .text(5, "apps/v1")
            .number(6, 1)
            .number(7, 1);
        let managed = |manager: &str, time, fields: &str| {
            let entry = message()
                .text(1, manager)
                .text(2, "Update")
                .text(3, "v1")
                .time(4, time);
            entry
                .text(6, "FieldsV1")
                .message(7, message().text(1, fields))
        };
        let template = r#"{"f:metadata":{"f:annotations":{".":{},"f:prometheus.io/port":{},"f:prometheus.io/scrape":{}},"f:generateName":{},"f:labels":{".":{},"f:app.kubernetes.io/name":{},"f:pod-template-hash":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"U\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:livenessProbe":{},"f:name":{},"f:ports":{},"f:readinessProbe":{},"f:resources":{},"f:terminationMessagePath":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{},"f:terminationGracePeriodSeconds":{}}}"#;
        let status = r#"{"f:status":{"f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:containerStatuses":{},"f:hostIP":{},"f:phase":{},"f:podIP":{},"f:podIPs":{},"f:startTime":{}}}"#;
        let meta = meta.message(13, owner);
        meta.message(
            17,
            managed(
                "kube-controller-manager",
                pod.created,
                &template.replace('U', &pod.uid),
            ),
        )
        .message(17, managed("kubelet", pod.changed, status))
    }

    fn pod_spec(&self, pod: &Pod) -> Message {
        let Deployment {
            image, port, app, ..
        } = &self.deployments[pod.deployment];
        let access = format!("kube-api-access-{}", &pod.uid[..5]);
        let volume = message().text(1, &access).message(
            2,
            message().text(26, "ca.crt token namespace kube-root-ca.crt"),
        );
        let probe = |path: &str| {
            let get = message()
                .text(1, path)
                .number(2, u64::from(*port))
                .text(4, "HTTP");
            message()
                .message(1, message().message(2, get))
                .number(2, 5)
                .number(3, 1)
                .number(4, 10)
        };
        let container = message().text(1, "main").text(2, image);
        let container = container.message(
            6,
            message()
                .text(1, "http")
                .number(3, u64::from(*port))
                .text(4, "TCP"),
        );
        let container = [
            "POD_NAME",
            "POD_NAMESPACE",
            "NODE_NAME",
            "LOG_LEVEL",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "SERVICE",
        ]
        .iter()
        .fold(container, |container, name| container.pair(7, name, app));
        let resources = message()
            .pair(1, "cpu", "500m")
            .pair(1, "memory", "512Mi")
            .pair(2, "cpu", "100m")
            .pair(2, "memory", "256Mi");
        let mount = message()
            .text(1, &access)
            .number(2, 1)
            .text(3, "/var/run/secrets/kubernetes.io/serviceaccount");
        let container = container.message(8, resources).message(9, mount);
        let container = container
            .message(10, probe("/healthz"))
            .message(11, probe("/readyz"));
        let container = container
            .text(13, "/dev/termination-log")
            .text(14, "IfNotPresent")
            .text(20, "File");
        let toleration = |key: &str| {
            message()
                .text(1, key)
                .text(2, "Exists")
                .text(4, "NoExecute")
                .number(5, 300)
        };
        message()
            .message(1, volume)
            .message(2, container)
            .text(3, "Always")
            .number(4, 30)
            .text(6, "ClusterFirst")
            .text(8, "default")
            .text(10, &self.nodes[pod.node].name)
            .text(19, "default-scheduler")
            .message(22, toleration("node.kubernetes.io/not-ready"))
            .message(22, toleration("node.kubernetes.io/unreachable"))
    }

    fn pod_status(&self, pod: &Pod) -> Message {
        let truth = if pod.ready { "True" } else { "False" };
        let condition =
            |kind: &str, truth: &str, time| message().text(1, kind).text(2, truth).time(4, time);
        let (image, host) = (
            &self.deployments[pod.deployment].image,
            &self.nodes[pod.node].name,
        );
        let running = message().message(2, message().time(1, pod.changed));
        let container = message()
            .text(1, "main")
            .message(2, running)
            .number(4, u64::from(pod.ready));
        let container = container
            .number(5, pod.restarts)
            .text(6, image)
            .text(7, image);
        let container = container
            .text(8, format!("containerd://{}", pod.container))
            .number(9, 1);
        message()
            .text(1, if pod.ready { "Running" } else { "Pending" })
            .message(2, condition("Initialized", "True", pod.created))
            .message(2, condition("Ready", truth, pod.changed))
            .message(2, condition("ContainersReady", truth, pod.changed))
            .message(2, condition("PodScheduled", "True", pod.created))
            .text(5, host)
            .text(6, &pod.address)
            .time(7, pod.created)
            .message(8, container)
            .text(9, "Burstable")
            .message(12, message().text(1, &pod.address))
    }

    fn slice(&self, deployment: usize) -> Put {
        let Deployment {
            namespace,
            app,
            uid,
            port,
            hash,
            ..
        } = &self.deployments[deployment];
        let name = format!("{app}-{}", &hash[..5]);
        let meta = message()
            .text(1, &name)
            .text(2, format!("{app}-"))
            .text(3, namespace)
            .text(5, uid);
        let meta = meta.pair(
            11,
            "endpointslice.kubernetes.io/managed-by",
            "endpointslice-controller.k8s.io",
        );
        let slice = message().message(1, meta.pair(11, "kubernetes.io/service-name", app));
        let of = |pod: &&Pod| pod.deployment == deployment;
        let slice = self.pods.iter().filter(of).fold(slice, |slice, pod| {
            let ready = u64::from(pod.ready);
            let conditions = message().number(1, ready).number(2, ready).number(3, 0);
            let target = message()
                .text(1, "Pod")
                .text(2, namespace)
                .text(3, &pod.name)
                .text(4, &pod.uid);
            let endpoint = message()
                .text(1, &pod.address)
                .message(2, conditions)
                .message(4, target);
            slice.message(
                2,
                endpoint
                    .text(6, &self.nodes[pod.node].name)
                    .text(7, "eu-central-1a"),
            )
        });
        let slice = slice.message(
            3,
            message()
                .text(1, "http")
                .text(2, "TCP")
                .number(3, u64::from(*port)),
        );
        Put {
            key: format!("/registry/endpointslices/{namespace}/{name}").into_bytes(),
            value: Some(stored(
                "discovery.k8s.io/v1",
                "EndpointSlice",
                slice.text(4, "IPv4"),
            )),
            lease: 0,
        }
    }
}

impl Writer for Kubernetes {
    fn snapshot(&mut self) -> Vec<Put> {
        let leases = (0..NODES).map(|node| self.lease(node));
        let pods = self.pods.iter().map(|pod| self.put_pod(pod));
        let slices = (0..DEPLOYMENTS).map(|deployment| self.slice(deployment));
        leases.chain(pods).chain(slices).collect()
    }

    fn write(&mut self) -> Put {
        self.now += self.random.u64(100..2_000);
        let index = self.random.usize(..PODS);
        let now = self.now;
        match self.random.u8(..100) {
            0..60 => {
                let node = self.random.usize(..NODES);
                self.nodes[node].renewed = now;
                self.lease(node)
            }
            60..87 => {
                let pod = &mut self.pods[index];
                pod.changed = now;
                pod.ready = !pod.ready;
                pod.restarts += u64::from(pod.ready);
                self.put_pod(&self.pods[index])
            }
            87..95 => {
                let pod = &mut self.pods[index];
                pod.ready = !pod.ready;
                let deployment = pod.deployment;
                self.slice(deployment)
            }
            95..98 => {
                self.pods[index] = self.pod(index % DEPLOYMENTS);
                self.put_pod(&self.pods[index])
            }
            _ => Put {
                key: self.pod_key(&self.pods[index]),
                value: None,
                lease: 0,
            },
        }
    }
}
