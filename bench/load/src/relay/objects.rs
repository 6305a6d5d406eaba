//! What is written: Kubernetes-like objects of some 700 bytes, rewritten with small changes.
//!
//! A node heartbeat as JSON: names, uid and owner are drawn once from the seed; a rewrite changes the resource
//! version, two times, a counter and now and then a condition. The same seed gives the same bytes.

use std::fmt::Write;

/// Where all objects live.
pub(super) const PREFIX: &str = "/registry/";
/// The key after every key with the prefix.
pub(super) const PREFIX_END: &str = "/registry0";

/// All objects and the chances of their changes.
#[derive(Debug)]
pub(super) struct Objects {
    random: fastrand::Rng,
    objects: Vec<Object>,
    micros: u64,
    version: u64,
}

#[derive(Debug)]
struct Object {
    name: String,
    uid: String,
    owner: String,
    address: String,
    beats: u64,
    since: u64,
    ready: bool,
}

impl Objects {
    pub(super) fn new(count: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut hex = |digits: usize| -> String {
            let digit = |_| char::from_digit(random.u32(..16), 16).unwrap_or('0');
            (0..digits).map(digit).collect()
        };
        let object = |n: usize| Object {
            name: format!(
                "ip-10-{}-{}-{}.eu-central-1.compute.internal",
                n / 256,
                n % 256,
                hex(2)
            ),
            uid: format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12)),
            owner: format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12)),
            address: format!("10.{}.{}.{}", n / 65_536, n / 256 % 256, n % 256),
            beats: 0,
            since: 0,
            ready: true,
        };
        Self {
            objects: (0..count.max(1)).map(object).collect(),
            random,
            micros: 1_790_000_000_000_000,
            version: 41_000_000,
        }
    }

    /// The next write: a key and its new value.
    pub(super) fn write(&mut self) -> (String, String) {
        self.micros += self.random.u64(100..2_000);
        self.version += 1;
        let index = self.random.usize(..self.objects.len());
        let object = &mut self.objects[index];
        object.beats += 1;
        // One write in twenty is a change of state, not a sign of life alone.
        if self.random.u8(..20) == 0 {
            object.ready = !object.ready;
            object.since = self.micros;
        }
        let value = object.text(self.version, self.micros);
        (format!("{PREFIX}nodes/{}", object.name), value)
    }
}

impl Object {
    fn text(&self, version: u64, micros: u64) -> String {
        let Self {
            name,
            uid,
            owner,
            address,
            beats,
            since,
            ready,
        } = self;
        let mut text = String::with_capacity(800);
        let _ = write!(
            text,
            r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{name}","uid":"{uid}","resourceVersion":"{version}","#
        );
        let _ = write!(
            text,
            r#""labels":{{"kubernetes.io/arch":"amd64","kubernetes.io/os":"linux","topology.kubernetes.io/zone":"eu-central-1a"}},"#
        );
        let _ = write!(
            text,
            r#""ownerReferences":[{{"apiVersion":"infra.example/v1","kind":"Machine","uid":"{owner}"}}]}},"#
        );
        let _ = write!(
            text,
            r#""spec":{{"providerID":"infra:///{owner}","leaseDurationSeconds":40}},"status":{{"addresses":[{{"type":"InternalIP","address":"{address}"}}],"#
        );
        let _ = write!(
            text,
            r#""conditions":[{{"type":"Ready","status":"{ready}","lastHeartbeatTime":{micros},"lastTransitionTime":{since}}}],"heartbeats":{beats},"allocatable":{{"cpu":"15890m","memory":"62131404Ki","pods":"110"}}}}}}"#
        );
        text
    }
}

#[cfg(test)]
mod tests;
