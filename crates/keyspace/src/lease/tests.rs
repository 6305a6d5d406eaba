//! Goal: leases keep to the obvious model. Method: random operations on few ids and keys with a
//! clock that only goes forward, every answer compared with a naive table.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{LeaseExists, LeaseMissing, Leases};
use crate::LeaseId;

#[derive(Clone, Debug)]
enum Step {
    Grant(i64, i64),
    Revoke(i64),
    Renew(i64),
    Attach(u8, i64),
    Detach(u8),
    Pass(u64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 1i64..5;
    let key = b'a'..=b'e';
    prop_oneof![
        (id.clone(), -1i64..20).prop_map(|(id, ttl)| Step::Grant(id, ttl)),
        id.clone().prop_map(Step::Revoke),
        id.clone().prop_map(Step::Renew),
        (key.clone(), id).prop_map(|(key, id)| Step::Attach(key, id)),
        key.prop_map(Step::Detach),
        (0u64..8).prop_map(Step::Pass),
        Just(Step::Sweep),
    ]
}

/// Per lease its TTL and expiry in seconds; per key its lease.
#[derive(Default)]
struct Model {
    leases: BTreeMap<i64, (u64, u64)>,
    keys: BTreeMap<u8, i64>,
}

impl Model {
    fn keys_of(&self, id: i64) -> Vec<Vec<u8>> {
        self.keys
            .iter()
            .filter(|(_, lease)| **lease == id)
            .map(|(key, _)| vec![*key])
            .collect()
    }

    fn revoke(&mut self, id: i64) -> Option<Vec<Vec<u8>>> {
        self.leases.remove(&id)?;
        let keys = self.keys_of(id);
        self.keys.retain(|_, lease| *lease != id);
        Some(keys)
    }
}

fn revoke(leases: &mut Leases, id: i64) -> Option<Vec<Vec<u8>>> {
    leases
        .revoke(LeaseId::new(id))
        .map(|keys| keys.iter().map(|key| key.to_vec()).collect())
}

fn apply(leases: &mut Leases, model: &mut Model, step: &Step, now: &mut u64) {
    let at = Duration::from_secs(*now);
    match *step {
        Step::Grant(number, ttl) => {
            let id = LeaseId::new(number);
            let granted = leases.grant(id, ttl, at);
            let ttl = ttl.max(0) as u64;
            let free = !model.leases.contains_key(&number);
            assert_eq!(granted, if free { Ok(()) } else { Err(LeaseExists(id)) });
            model.leases.entry(number).or_insert((ttl, *now + ttl));
        }
        Step::Revoke(id) => assert_eq!(revoke(leases, id), model.revoke(id)),
        Step::Renew(id) => {
            let expected = model
                .leases
                .get_mut(&id)
                .filter(|(_, expiry)| *expiry > *now)
                .map(|lease| {
                    lease.1 = *now + lease.0;
                    lease.0 as i64
                });
            assert_eq!(leases.renew(LeaseId::new(id), at), expected);
        }
        Step::Attach(key, number) => {
            let id = LeaseId::new(number);
            if model.leases.contains_key(&number) {
                assert_eq!(leases.attach(&[key], id), Ok(()));
                model.keys.insert(key, number);
            } else {
                assert_eq!(leases.attach(&[key], id), Err(LeaseMissing(id)));
            }
        }
        Step::Detach(key) => {
            leases.detach(&[key]);
            model.keys.remove(&key);
        }
        Step::Pass(secs) => *now += secs,
        Step::Sweep => {
            let mut due: Vec<(u64, i64)> = model
                .leases
                .iter()
                .filter(|(_, (_, expiry))| *expiry <= *now)
                .map(|(id, (_, expiry))| (*expiry, *id))
                .collect();
            due.sort_unstable();
            let expired: Vec<i64> = leases.expired(at).iter().map(|id| id.get()).collect();
            assert_eq!(expired, due.iter().map(|(_, id)| *id).collect::<Vec<_>>());
            for id in expired {
                assert_eq!(revoke(leases, id), model.revoke(id));
            }
        }
    }
}

proptest! {
    #[test]
    fn leases_keep_to_the_naive_model(steps in prop::collection::vec(step(), 1..150)) {
        let (mut leases, mut model, mut now) = (Leases::new(), Model::default(), 0);
        for step in &steps {
            apply(&mut leases, &mut model, step, &mut now);
            prop_assert!(leases.ids().map(LeaseId::get).eq(model.leases.keys().copied()));
            let first = model.leases.values().map(|(_, expiry)| Duration::from_secs(*expiry)).min();
            prop_assert_eq!(leases.next_expiry(), first);
            for (number, (ttl, expiry)) in &model.leases {
                let id = LeaseId::new(*number);
                prop_assert_eq!(leases.granted(id), Some(*ttl as i64));
                let left = Duration::from_secs(expiry.saturating_sub(now));
                prop_assert_eq!(leases.remaining(id, Duration::from_secs(now)), Some(left));
                let keys: Vec<Vec<u8>> = leases.keys(id).map(<[u8]>::to_vec).collect();
                prop_assert_eq!(keys, model.keys_of(*number));
            }
            for key in b'a'..=b'e' {
                let lease = model.keys.get(&key).map(|id| LeaseId::new(*id));
                prop_assert_eq!(leases.lease_of(&[key]), lease);
            }
        }
    }
}

#[test]
fn a_lease_that_ran_out_cannot_be_renewed() {
    let mut leases = Leases::new();
    let id = LeaseId::new(7);
    leases.grant(id, 10, Duration::ZERO).unwrap();
    assert_eq!(leases.renew(id, Duration::from_secs(9)), Some(10));
    assert_eq!(leases.renew(id, Duration::from_secs(19)), None);
    assert!(leases.exists(id), "until it is revoked");
    assert_eq!(leases.expired(Duration::from_secs(19)), [id]);
}
