//! What a service registry writes: 5,000 instances of 200 services as JSON of about 350 bytes, each
//! on a lease of its own.
//!
//! Of 100 writes 90 report an instance again (time, load and now and then its health change), 5 delete
//! one, 5 bring up a new one in a place of the list.

use super::{Put, Writer, hex, suffix};

const SERVICES: usize = 200;
const INSTANCES: usize = 5_000;

/// The registry.
pub struct Registry {
    random: fastrand::Rng,
    /// Milliseconds since 1970.
    now: u64,
    services: Vec<String>,
    instances: Vec<Instance>,
}

struct Instance {
    service: usize,
    id: String,
    address: String,
    port: u16,
    zone: u8,
    build: String,
    lease: i64,
    started: u64,
    seen: u64,
    load: u8,
    passing: bool,
}

impl Registry {
    /// A registry from this seed.
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let service = |n| {
            format!(
                "{}-{}",
                ["orders", "users", "billing", "search"][n % 4],
                suffix(&mut random, 4)
            )
        };
        let services = (0..SERVICES).map(service).collect();
        let mut new = Self {
            random,
            now: 1_790_000_000_000,
            services,
            instances: Vec::new(),
        };
        for index in 0..INSTANCES {
            let instance = new.instance(index);
            new.instances.push(instance);
        }
        new
    }

    fn instance(&mut self, index: usize) -> Instance {
        let random = &mut self.random;
        Instance {
            service: index % SERVICES,
            id: hex(random, 12),
            address: format!("10.{}.{}.{}", random.u8(..), random.u8(..), random.u8(1..)),
            port: random.u16(20_000..32_000),
            zone: random.u8(..3),
            build: hex(random, 7),
            lease: random.i64(1 << 60..i64::MAX),
            started: self.now,
            seen: self.now,
            load: random.u8(..100),
            passing: true,
        }
    }

    fn put(&self, instance: &Instance) -> Put {
        let Instance {
            service,
            id,
            address,
            port,
            zone,
            build,
            lease,
            started,
            seen,
            load,
            passing,
        } = instance;
        let service = &self.services[*service];
        let zone = char::from(b'a' + zone);
        let status = if *passing { "passing" } else { "critical" };
        let value = format!(
            r#"{{"id":"{service}-{id}","service":"{service}","address":"{address}","port":{port},"tags":["http","v2","canary-none"],"meta":{{"zone":"eu-central-1{zone}","build":"2026.11.{build}","runtime":"jvm-21","protocol":"grpc"}},"weight":{{"passing":10,"warning":1}},"status":"{status}","load":{load},"startedAt":{started},"lastSeen":{seen}}}"#
        );
        Put {
            key: Self::key(service, id),
            value: Some(value.into_bytes()),
            lease: *lease,
        }
    }

    fn key(service: &str, id: &str) -> Vec<u8> {
        format!("/services/production/{service}/instances/{id}").into_bytes()
    }
}

impl Writer for Registry {
    fn snapshot(&mut self) -> Vec<Put> {
        self.instances
            .iter()
            .map(|instance| self.put(instance))
            .collect()
    }

    fn write(&mut self) -> Put {
        self.now += self.random.u64(..3);
        let index = self.random.usize(..INSTANCES);
        match self.random.u8(..100) {
            0..90 => {
                let (load, flips) = (self.random.u8(..100), self.random.u8(..50) == 0);
                let instance = &mut self.instances[index];
                (instance.seen, instance.load) = (self.now, load);
                instance.passing ^= flips;
            }
            90..95 => {
                let Instance { service, id, .. } = &self.instances[index];
                let key = Self::key(&self.services[*service], id);
                return Put {
                    key,
                    value: None,
                    lease: 0,
                };
            }
            _ => self.instances[index] = self.instance(index),
        }
        self.put(&self.instances[index])
    }
}
